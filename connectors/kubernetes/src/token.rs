//! Tokens of ServiceAccounts as an issuer's versions: each is bound to a Secret, and dies with it.
//!
//! Flow of `bound`: an empty Secret named after the operation → a token from the TokenRequest API, bound to that Secret.
//! Of `legacy`: a Secret of the token type, which the controller manager fills. Either way a version is a Secret by its
//! name and uid, listing them is listing Secrets, and revoking one deletes its Secret and no other of the same name.
//!
//! Assumption: the API server remembers for about ten seconds that it accepted a token; that is the propagation time.
//! Cannot be listed, by the API's design: tokens that others asked for without binding them to a Secret (those of pods,
//! `kubectl create token`). They end by themselves, or with their pod or ServiceAccount.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use remint_contract::{
    Call, Error, ErrorKind, Intent, IssuerCapabilities, Live, MadeBy, Material, MintRequest, Minted, OperationId,
    ProbeCost, Recovered, SecretValue, SettingProblem, Slots, Strategy, Target, Verb, Verdict, Verified, VersionId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::calls;
use crate::client::Client;
use crate::config::{Settings, Tokens};
use crate::place::{CORE, Place, collection};
use crate::request::Request;
use crate::secret::{self, OPERATION, Secret, TOKEN_OF, Wanted};

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/// Names the account in a Secret of the token type.
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const SORT: &str = "kubernetes.io/service-account-token";
/// The user name that a ServiceAccount's token speaks for begins so.
const USER: &str = "system:serviceaccount:";

/// How long the API server goes on accepting a token that it has just seen.
const CACHE: Duration = Duration::from_secs(10);

pub(crate) fn capabilities(settings: &Settings) -> Option<IssuerCapabilities> {
    let (made_by, calls) = match settings.tokens {
        Tokens::None => return None,
        Tokens::Bound => (MadeBy::IssuerOnce, calls::BOUND_OVERLAP),
        Tokens::Legacy => (MadeBy::Issuer, calls::LEGACY_OVERLAP),
    };
    Some(IssuerCapabilities {
        slots: Slots::Many,
        made_by,
        probe: ProbeCost::Free,
        propagation: CACHE + Duration::from_secs(2),
        strategies: [Strategy::Overlap].into(),
        endpoints: settings.endpoints.clone(),
        verifies_at: settings.primary_endpoint(),
        reversible_disable: false,
        dies_with_issuer: false,
        calls: vec![(Strategy::Overlap, calls)],
    })
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TargetSettings {
    /// How long a bound token lives.
    seconds: Option<u64>,
}

/// Problems of `issuedBy`.
pub(crate) fn check_target(settings: &Settings, target: &Target) -> Vec<SettingProblem> {
    let problem = |path: &str, message: String| SettingProblem { path: vec![path.to_owned()], message };
    let mut problems = Vec::new();
    if Place::read(&target.name, &settings.namespace).is_none() {
        problems.push(problem("target", "write a ServiceAccount: name or namespace/name".to_owned()));
    }
    match own(target) {
        Err(message) => problems.push(SettingProblem { path: Vec::new(), message }),
        Ok(TargetSettings { seconds: Some(..600) }) => {
            problems.push(problem("seconds", "the API server gives no token for less than 600".to_owned()));
        }
        Ok(TargetSettings { seconds: Some(_) }) if settings.tokens == Tokens::Legacy => {
            problems.push(problem("seconds", "a legacy token has no end; write `tokens: bound`".to_owned()));
        }
        Ok(_) => {}
    }
    problems
}

fn own(target: &Target) -> Result<TargetSettings, String> {
    if target.settings.is_null() {
        return Ok(TargetSettings::default());
    }
    TargetSettings::deserialize(&target.settings).map_err(|problem| problem.to_string())
}

pub(crate) async fn mint(client: &Client, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
    let verb = Verb::Mint;
    let account = Place::parse(verb, &request.target.name, &client.settings.namespace)?;
    let settings = own(&request.target).map_err(|message| Error::new(ErrorKind::Invalid, verb, message))?;
    let answer = client.act(call, &Request::get(verb, account.path(CORE, "serviceaccounts"))).await?;
    answer.done("the ServiceAccount").map_err(|failure| failure.with("serviceaccount", account.to_string()))?;
    let made = bind(client, call, &account).await?;
    let version = version(&made);
    if client.settings.tokens == Tokens::Legacy {
        let token = filled(client, call, verb, &made).await.map_err(begun)?;
        return Ok(Minted { version, material: Material::of(token) });
    }
    let asked = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "expirationSeconds": settings.seconds.unwrap_or(LIFE.as_secs()),
            "boundObjectRef":
                {"apiVersion": "v1", "kind": "Secret", "name": made.metadata.name, "uid": made.metadata.uid},
        },
    });
    let path = format!("{}/token", account.path(CORE, "serviceaccounts"));
    let answer = client.act(call, &Request::create(verb, &path, &asked)).await;
    let given: Given = match answer.and_then(|answer| answer.data("the token")) {
        Ok(given) => given,
        Err(failure) => {
            let failure = failure.with("serviceaccount", account.to_string());
            // Nothing was bound to it, so that it can go; else `recover` finds it.
            let gone = failure.kind != ErrorKind::Unclear && revoke(client, call, &version).await.is_ok();
            return Err(if gone { failure } else { begun(failure) });
        }
    };
    Ok(Minted { version, material: Material::of(given.status.token.into()) })
}

/// A failure after the Secret of the token was made: whatever it is, something was done.
fn begun(failure: Error) -> Error {
    Error { kind: ErrorKind::Unclear, ..failure }
}

#[derive(Deserialize)]
struct Given {
    status: GivenStatus,
}

#[derive(Deserialize)]
struct GivenStatus {
    token: String,
}

/// The Secret that the new token lives and dies with.
async fn bind(client: &Client, call: &Call, account: &Place) -> Result<Secret, Error> {
    let place = Place { namespace: account.namespace.clone(), name: named(&account.name, &call.operation) };
    let mut wanted = Wanted::at(&place);
    wanted.metadata.annotations.insert(OPERATION, call.operation.0.clone());
    wanted.metadata.annotations.insert(TOKEN_OF, account.name.clone());
    wanted.metadata.labels.insert(TOKEN_OF, "bound".to_owned());
    wanted.sort = Some("remint.dev/bound-token");
    if client.settings.tokens == Tokens::Legacy {
        wanted.metadata.annotations.insert(ACCOUNT, account.name.clone());
        wanted.metadata.labels.insert(TOKEN_OF, "legacy".to_owned());
        wanted.sort = Some(SORT);
    }
    let path = collection(CORE, &account.namespace, "secrets");
    let answer = client.act(call, &Request::create(Verb::Mint, &path, &wanted)).await?;
    answer.data("the Secret of the token").map_err(|failure| failure.with("secret", place.to_string()))
}

/// A legacy token, once the controller manager has put it there.
async fn filled(client: &Client, call: &Call, verb: Verb, made: &Secret) -> Result<SecretValue, Error> {
    if let Some(token) = token(made) {
        return Ok(token);
    }
    let (name, namespace) = (&made.metadata.name, &made.metadata.namespace);
    let path = format!(
        "{}?watch=true&timeoutSeconds={PATIENCE}&fieldSelector=metadata.name%3D{name}",
        collection(CORE, namespace, "secrets")
    );
    let mut request = Request::get(verb, path);
    request.enough = Some(|events| seen(events).is_some());
    let answer = client.act(call, &request).await?;
    answer.done("the token")?;
    seen(&answer.body).ok_or_else(|| {
        let message = "the controller manager has not made the token yet";
        Error::new(ErrorKind::Unclear, verb, message).with("secret", name)
    })
}

/// The token in a stream of events, one line each.
fn seen(events: &[u8]) -> Option<SecretValue> {
    #[derive(Deserialize)]
    struct Event {
        object: Secret,
    }
    events
        .split(|byte| *byte == b'\n')
        .rev()
        .find_map(|line| token(&serde_json::from_slice::<Event>(line).ok()?.object))
}

fn token(secret: &Secret) -> Option<SecretValue> {
    secret.data.as_ref()?.get("token").map(|token| token.0.clone())
}

pub(crate) async fn verify(
    client: &Client,
    call: &Call,
    target: &Target,
    material: &Material,
) -> Result<Verified, Error> {
    let verb = Verb::Verify;
    let answer = client.bear_here(&material.secret, &review(verb)).await?;
    if answer.is_unauthenticated() {
        return Err(Error::new(ErrorKind::Denied, verb, "the token is not accepted"));
    }
    let principal = principal(&answer).map_err(unproven)?;
    let claims = claims(&material.secret);
    let expires = claims.as_ref().and_then(|claims| Timestamp::from_second(claims.exp?).ok());
    let version = match claims {
        Some(Claims { bound: Some(Bound { namespace, secret: Some(secret) }), .. }) => {
            VersionId(format!("{namespace}/{}/{}", secret.name, secret.uid))
        }
        Some(Claims { legacy: Some(name), namespace: Some(namespace), .. }) => {
            let place = Place { namespace, name };
            let found = secret::find(client, call, verb, &place).await?;
            // One whose Secret is gone is accepted for a while still.
            found.map_or_else(|| VersionId(format!("{place}/gone")), |found| self::version(&found))
        }
        // Somebody's who bound it to nothing: it is no version that could be revoked.
        _ => VersionId(format!("unbound/{}", material.fingerprint())),
    };
    let place = Place::parse(verb, &target.name, &client.settings.namespace)?;
    if principal != format!("{USER}{}:{}", place.namespace, place.name) {
        return Ok(Verified { version: VersionId(format!("other/{principal}")), principal, expires });
    }
    Ok(Verified { version, principal, expires })
}

pub(crate) async fn probe(client: &Client, material: &Material, endpoint: usize) -> Result<Verdict, Error> {
    let answer = client.bear(&material.secret, endpoint, &review(Verb::Probe)).await?;
    Ok(if answer.is_unauthenticated() {
        Verdict::Denied
    } else if answer.is_success() {
        Verdict::Accepted
    } else {
        Verdict::Unclear(answer.failure("the token").to_string())
    })
}

pub(crate) async fn revoke(client: &Client, call: &Call, version: &VersionId) -> Result<(), Error> {
    let verb = Verb::Revoke;
    let Some(found) = Named::read(version) else {
        return Err(Error::new(ErrorKind::Missing, verb, "no version has such an id").with("version", &version.0));
    };
    let path = found.place.path(CORE, "secrets");
    let answer = client.act(call, &Request::delete(verb, path, &found.uid)).await?;
    // Gone already, or another one by that name.
    if matches!(answer.status, 404 | 409) { Ok(()) } else { answer.done("the Secret of the token") }
}

pub(crate) async fn enumerate(client: &Client, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
    let verb = Verb::Enumerate;
    let places: Vec<_> = targets
        .iter()
        .map(|target| Place::parse(verb, &target.name, &client.settings.namespace).map(|place| (target, place)))
        .collect::<Result<_, _>>()?;
    let mut namespaces: Vec<&str> = places.iter().map(|(_, place)| place.namespace.as_str()).collect();
    namespaces.push(&client.settings.namespace);
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut live = Vec::new();
    for namespace in namespaces {
        let bound = format!("labelSelector={TOKEN_OF}%3Dbound");
        let legacy = format!("fieldSelector=type%3D{}", SORT.replace('/', "%2F"));
        for selector in [bound, legacy] {
            for secret in secret::list(client, call, verb, namespace, &selector).await? {
                let account = secret.annotation(ACCOUNT).or_else(|| secret.annotation(TOKEN_OF)).unwrap_or_default();
                let of = places.iter().find(|(_, place)| place.namespace == namespace && place.name == account);
                live.push(Live {
                    version: version(&secret),
                    target: of.map(|(target, _)| target.name.clone()),
                    label: format!("{namespace}/{} of {account}", secret.metadata.name),
                    operation: secret.annotation(OPERATION).map(|text| OperationId(text.to_owned())),
                    created: secret.metadata.creation_timestamp,
                });
            }
        }
    }
    Ok(live)
}

pub(crate) async fn recover(client: &Client, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
    let verb = Verb::Recover;
    match intent.verb {
        Verb::Mint => {
            let account = Place::parse(verb, &intent.target.name, &client.settings.namespace)?;
            let name = named(&account.name, &intent.operation);
            let place = Place { namespace: account.namespace, name };
            let Some(found) = secret::find(client, call, verb, &place).await? else { return Ok(Recovered::NotDone) };
            let version = version(&found);
            Ok(match token(&found) {
                Some(token) => Recovered::Done(Some(Minted { version, material: Material::of(token) })),
                None => Recovered::Orphan(version),
            })
        }
        Verb::Revoke => {
            let Some(named) = intent.version.as_ref().and_then(Named::read) else {
                return Err(Error::new(ErrorKind::Invalid, verb, "the intent names no version"));
            };
            let found = secret::find(client, call, verb, &named.place).await?;
            let lives = found.is_some_and(|secret| secret.metadata.uid == named.uid);
            Ok(if lives { Recovered::NotDone } else { Recovered::Done(None) })
        }
        other => Err(Error::new(ErrorKind::Unsupported, verb, format!("{other} is not known here"))),
    }
}

fn review(verb: Verb) -> Request {
    Request::ask(verb, REVIEW, &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}))
}

/// Who the API server takes the bearer for.
fn principal(answer: &Answer) -> Result<String, Error> {
    let review: Value = answer.data("the token")?;
    let name = review.pointer("/status/userInfo/username").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Unreachable, answer.verb, "the server does not say whom the token speaks for")
    })
}

/// A failure while a token was tried, that says nothing of it.
fn unproven(mut failure: Error) -> Error {
    if matches!(failure.kind, ErrorKind::Denied | ErrorKind::Missing) {
        failure.kind = ErrorKind::Unreachable;
    }
    failure
}

/// `namespace/name/uid` of the Secret: names one thing for ever.
fn version(secret: &Secret) -> VersionId {
    VersionId(format!("{}/{}/{}", secret.metadata.namespace, secret.metadata.name, secret.metadata.uid))
}

/// A version, read again.
struct Named {
    place: Place,
    uid: String,
}

impl Named {
    fn read(version: &VersionId) -> Option<Self> {
        let (place, uid) = version.0.rsplit_once('/')?;
        let place = place.contains('/').then(|| Place::read(place, ""))??;
        Some(Self { place, uid: uid.to_owned() })
    }
}

/// The name of the Secret of an operation's token: the same for every try of it.
fn named(account: &str, operation: &OperationId) -> String {
    let digest = Material::of(SecretValue::from(operation.0.as_str())).fingerprint();
    let digest = digest.trim_start_matches("sha256:");
    format!("{}-remint-{digest}", account.get(..180).unwrap_or(account).trim_end_matches(['-', '.']))
}

/// What stands in a token that the server has accepted.
#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    bound: Option<Bound>,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    legacy: Option<String>,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct Bound {
    namespace: String,
    secret: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

fn claims(token: &SecretValue) -> Option<Claims> {
    let payload = token.expose_str()?.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Of a bound token that nobody said otherwise of.
const LIFE: Duration = Duration::from_hours(24);
/// Seconds that the controller manager gets for a legacy token.
const PATIENCE: u32 = 20;
