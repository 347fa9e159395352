//! A way to the server that counts calls, and at word loses an answer, throttles, or says yes without asking.

use std::sync::{Arc, Mutex};

use remint_conformance::gate::Gate;
use remint_conformance::proxy::{Asked, RETRY, Way, answer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// What happens to the next call of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It arrives, and its answer does not.
    Lost(&'static str),
    /// It is told to be done, and is not.
    Lie(&'static str),
    /// Any call is one too many.
    Throttled,
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
    paged: Mutex<Option<&'static str>>,
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    /// In front of all.
    pub(crate) gate: Gate,
    state: Arc<State>,
    _way: Way,
}

impl Proxy {
    /// A way to `http://host:port`.
    pub(crate) async fn to(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let way = Way::open(move |client| serve(client, upstream.clone(), Arc::clone(&shared))).await;
        let gate = Gate::to(&way.address).await;
        Self { address: format!("http://{}", gate.address), gate, state, _way: way }
    }

    /// The actions so far, in their order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap().clone()
    }

    /// From now on the answers to an action come in two pages: the first member, and the others. moto has no pages.
    pub(crate) fn page(&self, action: &'static str) {
        *self.state.paged.lock().unwrap() = Some(action);
    }

    pub(crate) fn arm(&self, trouble: Option<Trouble>) {
        *self.state.trouble.lock().unwrap() = trouble;
    }
}

async fn serve(mut client: TcpStream, upstream: String, state: Arc<State>) -> std::io::Result<()> {
    let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
    let action = action(&asked);
    state.calls.lock().unwrap().push(action.clone());
    let trouble = {
        let mut armed = state.trouble.lock().unwrap();
        let meant = armed.is_some_and(|trouble| match trouble {
            Trouble::Lost(named) | Trouble::Lie(named) => named == action,
            Trouble::Throttled => true,
        });
        if meant { armed.take() } else { None }
    };
    match trouble {
        Some(Trouble::Throttled) => return client.write_all(&answer("400 Bad Request", RETRY, THROTTLED)).await,
        Some(Trouble::Lie(_)) => return client.write_all(&answer("200 OK", "", "<DoneResponse/>")).await,
        Some(Trouble::Lost(_)) | None => {}
    }
    let said = asked.forward(TcpStream::connect(upstream).await?).await?;
    if trouble.is_some() {
        return Ok(());
    }
    let paged = *state.paged.lock().unwrap() == Some(action.as_str());
    let second = String::from_utf8_lossy(&asked.body).contains("&Marker=");
    match paged.then(|| page(&said, second)).flatten() {
        Some(page) => client.write_all(&answer("200 OK", "", &page)).await,
        None => client.write_all(&said).await,
    }
}

/// One of two pages of an answer; none where it has no members.
fn page(said: &[u8], second: bool) -> Option<String> {
    const END: &str = "</member>";
    let text = String::from_utf8_lossy(said);
    let body = text.split_once("\r\n\r\n")?.1;
    let (first, last) = (body.find("<member>")?, body.rfind(END)? + END.len());
    let cut = body.find(END)? + END.len();
    if second {
        return Some(format!("{}{}", &body[..first], &body[cut..]));
    }
    let page = format!("{}{}", &body[..cut], &body[last..]);
    let more = "<IsTruncated>true</IsTruncated><Marker>second</Marker>";
    Some(page.replace("<IsTruncated>false</IsTruncated>", more))
}

/// What is asked: a header says it, or a field of the form.
fn action(asked: &Asked) -> String {
    let named = asked.header("x-amz-target").and_then(|target| target.split('.').nth(1)).map(str::to_owned);
    named.unwrap_or_else(|| {
        let form = String::from_utf8_lossy(&asked.body).into_owned();
        form.split('&').find_map(|field| field.strip_prefix("Action=").map(str::to_owned)).unwrap_or_default()
    })
}

/// As IAM says it.
const THROTTLED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>\
                         </Error></ErrorResponse>";
