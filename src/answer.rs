//! The text of an answer over HTTP, of which no more is read than somebody honest would send.

/// Why there is none.
pub(crate) enum Unread {
    Lost(reqwest::Error),
    Large,
    NoText,
}

/// Reads at most so many bytes.
///
/// # Errors
/// The connection was lost, there are more bytes, or they are no text.
pub(crate) async fn text(answer: reqwest::Response, most: usize) -> Result<String, Unread> {
    String::from_utf8(bytes(answer, most).await?).map_err(|_| Unread::NoText)
}

/// The same, whatever the bytes are.
///
/// # Errors
/// The connection was lost, or there are more bytes.
pub(crate) async fn bytes(mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Unread::Lost)? {
        if body.len() + chunk.len() > most {
            return Err(Unread::Large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
