//! The real moto of `cargo xtask test`, as its administrator sees it, and a way to it that can lose things.

pub(crate) mod proxy;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use remint_contract::{Call, Clock as _, Connector, ConnectorKind as _, HostRules, Material, OperationId, SystemClock};
use serde_json::{Value, json};
use url::form_urlencoded;

pub(crate) use proxy::{Proxy, Trouble};

pub(crate) const REGION: &str = "eu-central-1";
/// Rights to everything.
pub(crate) const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// A server, its administrator, and names that no other test has.
pub(crate) struct Moto {
    pub(crate) address: String,
    pub(crate) admin: Arc<Material>,
    /// In another account.
    pub(crate) role: String,
    prefix: String,
    http: reqwest::Client,
    made: AtomicU64,
}

impl Moto {
    /// # Panics
    /// Nobody started a server for the tests: what is not tested is not claimed.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    pub(crate) fn find() -> Self {
        let variable = |name: &str| std::env::var(format!("REMINT_TEST_AWS{name}")).ok();
        let (Some(address), Some(key), Some(secret), Some(role)) =
            (variable(""), variable("_KEY"), variable("_SECRET"), variable("_ROLE"))
        else {
            panic!(
                "no moto: REMINT_TEST_AWS and what goes with it is not set; run `cargo xtask test`, or export what \
                 `cargo xtask servers up moto` prints"
            );
        };
        // Past the harness, which hides what a passing test prints.
        let mut out = std::io::stderr();
        writeln!(out, "SERVER moto").unwrap();
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        Self {
            address,
            admin: Arc::new(Material::login(key, secret.into())),
            role,
            prefix: format!("m{:08x}", u32::from_ne_bytes(random)),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            made: AtomicU64::new(0),
        }
    }

    /// A name of this test's own.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// A call of a new operation.
    pub(crate) fn acting(&self, actor: &Arc<Material>) -> Call {
        Call {
            operation: OperationId(format!("op-{}", self.name())),
            deadline: "9000-01-01T00:00:00Z".parse().unwrap(),
            actor: Some(Arc::clone(actor)),
        }
    }

    pub(crate) fn call(&self) -> Call {
        self.acting(&self.admin)
    }

    /// A user without any right; its name.
    pub(crate) async fn user(&self) -> String {
        let name = self.name();
        self.iam("CreateUser", &[("UserName", &name)]).await;
        name
    }

    /// A key of a user.
    pub(crate) async fn key(&self, user: &str) -> Arc<Material> {
        let answer = self.iam("CreateAccessKey", &[("UserName", user)]).await;
        let element = |tag: &str| {
            let rest = answer.split_once(&format!("<{tag}>")).unwrap().1;
            rest.split_once("</").unwrap().0.to_owned()
        };
        Arc::new(Material::login(element("AccessKeyId"), element("SecretAccessKey").into()))
    }

    /// What the administrator may do; the answer must be a success.
    pub(crate) async fn iam(&self, action: &str, fields: &[(&str, &str)]) -> String {
        let body = form(&[("Action", action), ("Version", "2010-05-08")], fields);
        let (status, answer) = self.send(&self.as_admin(), "iam", &FORM, body).await;
        assert_eq!(status, 200, "{action}: {answer}");
        answer
    }

    /// A JSON service, in the administrator's account.
    pub(crate) async fn ask(&self, target: &str, body: Value) -> Value {
        self.ask_as(&self.as_admin(), target, body).await
    }

    pub(crate) async fn ask_as(&self, who: &Credentials, target: &str, body: Value) -> Value {
        let service = if target.starts_with("AmazonSSM") { "ssm" } else { "secretsmanager" };
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let (status, answer) = self.send(who, service, &headers, body.to_string()).await;
        assert_eq!(status, 200, "{target}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// A session of the role in the other account.
    pub(crate) async fn elsewhere(&self) -> Credentials {
        let asked = [("RoleArn", self.role.as_str()), ("RoleSessionName", "test")];
        let body = form(&[("Action", "AssumeRole"), ("Version", "2011-06-15")], &asked);
        let (status, answer) = self.send(&self.as_admin(), "sts", &FORM, body).await;
        assert_eq!(status, 200, "{answer}");
        let element =
            |tag: &str| answer.split_once(&format!("<{tag}>")).unwrap().1.split_once("</").unwrap().0.to_owned();
        let token = Some(element("SessionToken"));
        Credentials::new(element("AccessKeyId"), element("SecretAccessKey"), token, None, "test")
    }

    fn as_admin(&self) -> Credentials {
        let secret = self.admin.secret.expose_str().unwrap();
        Credentials::new(self.admin.username.as_deref().unwrap(), secret, None, None, "test")
    }

    async fn send(&self, who: &Credentials, service: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
        let identity = who.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemClock.now().into())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let signed = SignableBody::Bytes(body.as_bytes());
        let address = format!("{}/", self.address);
        let request = SignableRequest::new("POST", &address, headers.iter().copied(), signed).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let mut request = self.http.post(address);
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

fn form(first: &[(&str, &str)], then: &[(&str, &str)]) -> String {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(first).extend_pairs(then).finish();
    // moto checks the signature of the fields as it writes them again, and it escapes this one.
    form.replace('*', "%2A")
}

/// The connector on an address.
pub(crate) fn open(address: &str, settings: &Value) -> Arc<dyn Connector> {
    let mut all = json!({"region": REGION, "endpoint": address});
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    remint_aws::kind().open(&all, &HostRules::default()).unwrap()
}

/// An address of this machine where nothing answers.
pub(crate) fn nowhere() -> String {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    format!("http://{free}")
}
