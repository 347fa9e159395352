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
pub(crate) async fn text(mut answer: reqwest::Response, most: usize) -> Result<String, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Unread::Lost)? {
        if body.len() + chunk.len() > most {
            return Err(Unread::Large);
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| Unread::NoText)
}
