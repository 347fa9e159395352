//! Lists, a page at a time: `?limit=` and `?after=`, and a `Link` to the next page.
//!
//! Guarantees: what was there at the first page and stays is on exactly one page, whatever comes or goes meanwhile: a page
//! begins after the last one's last item, which its cursor names.

use axum::Json;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::serve::api::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "most")]
    limit: usize,
    #[serde(default)]
    after: Option<String>,
}

const fn most() -> usize {
    MOST
}

/// One page of a list.
pub(super) fn page<T, S: Serialize>(
    uri: &Uri,
    items: Vec<T>,
    id: impl Fn(&T) -> String,
    show: impl Fn(T) -> S,
) -> Result<Response, Problem> {
    let wanted = axum::extract::Query::<Wanted>::try_from_uri(uri)
        .map_err(|_| Problem::invalid("limit: a number from 1 to 1000; after: the cursor of a `Link`; nothing else"))?;
    if !(1..=MOST).contains(&wanted.limit) {
        return Err(Problem::invalid("limit: a number from 1 to 1000"));
    }
    let begin = match &wanted.after {
        None => 0,
        Some(cursor) => {
            let last = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let place = last.and_then(|last| items.iter().position(|item| id(item) == last));
            place.map(|place| place + 1).ok_or_else(|| {
                Problem::invalid("after: what this cursor named is not there any more; begin without it")
            })?
        }
    };
    let more = items.len().saturating_sub(begin) > wanted.limit;
    let items: Vec<T> = items.into_iter().skip(begin).take(wanted.limit).collect();
    let next = items.last().filter(|_| more).map(|item| URL_SAFE_NO_PAD.encode(id(item)));
    let mut response = Json(items.into_iter().map(show).collect::<Vec<_>>()).into_response();
    if let Some(next) = next {
        let link = format!("<{}?limit={}&after={next}>; rel=\"next\"", uri.path(), wanted.limit);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// Items of a page, at most, and where nobody says how many.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, items: Vec<u32>) -> (u16, Option<String>) {
        let uri: Uri = uri.parse().unwrap();
        let found = page(&uri, items, ToString::to_string, |item| item);
        let response = found.unwrap_or_else(axum::response::IntoResponse::into_response);
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        (response.status().as_u16(), link)
    }

    #[test]
    fn pages_follow_one_another_though_the_list_changes() {
        let (status, link) = of("/v1/x?limit=2", vec![1, 2, 3, 4]);
        assert_eq!(status, 200);
        let link = link.unwrap();
        let next = link.strip_prefix('<').unwrap().split_once('>').unwrap().0;
        // 1 went away, and 5 came: the next page begins with 3 all the same.
        let (status, link) = of(next, vec![2, 3, 4, 5]);
        assert_eq!(status, 200);
        assert!(link.unwrap().contains(&URL_SAFE_NO_PAD.encode("4")));
        assert_eq!(of(next, vec![3, 4]), (422, None), "what the cursor named is gone");
        assert_eq!(of("/v1/x?limit=2", vec![1, 2]), (200, None));
        for bad in ["/v1/x?limit=0", "/v1/x?limit=1001", "/v1/x?limit=x", "/v1/x?page=2", "/v1/x?after=*"] {
            assert_eq!(of(bad, vec![1]).0, 422, "{bad}");
        }
    }
}
