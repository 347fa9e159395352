//! Access keys of users, of moto: it checks every signature, and it is not AWS.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use remint_contract::{Clock as _, HostRules, Material, Strategy, SystemClock};
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, fresh, mint, open, told};

const REGION: &str = "eu-central-1";

pub(crate) struct Moto {
    address: String,
    http: reqwest::Client,
    way: Counted,
    prefix: String,
    seats: Vec<Seat>,
}

impl Moto {
    pub(crate) async fn with(count: usize, keep: &std::path::Path) -> Self {
        let address = told("REMINT_TEST_AWS");
        let admin = Material::login(told("REMINT_TEST_AWS_KEY"), told("REMINT_TEST_AWS_SECRET").into());
        let way = Counted::to(&address).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut moto = Self { address, http, way, prefix: fresh(), seats: Vec::new() };
        let connector = open("aws", &moto.settings(), &HostRules::default());
        for index in 0..count {
            let user = format!("{}-{index:02}", moto.prefix);
            let asked = format!("Action=CreateUser&Version=2010-05-08&UserName={user}");
            assert_eq!(moto.send(&admin, "iam", asked).await, 200);
            let make = || mint(&connector, Some(&admin), (&user, Value::Null, Strategy::Overlap));
            let first = make().await;
            // The second place of the user: his keys are full.
            let planted = if index == 0 { Some(moto.stolen(&admin, &user).await) } else { None };
            moto.seats.push(Seat { name: format!("aws-{index:02}"), first, planted });
        }
        let lies = json!({"user": admin.username, "secret": admin.secret.expose_str().unwrap()});
        std::fs::write(keep.join("aws-admin.json"), lies.to_string()).unwrap();
        moto
    }

    /// A key that nobody of ours asked for.
    async fn stolen(&self, admin: &Material, user: &str) -> Material {
        let asked = format!("Action=CreateAccessKey&Version=2010-05-08&UserName={user}");
        let (status, answer) = self.ask(admin, "iam", asked).await;
        assert_eq!(status, 200, "{answer}");
        let element =
            |tag: &str| answer.split_once(&format!("<{tag}>")).unwrap().1.split_once("</").unwrap().0.to_owned();
        Material::login(element("AccessKeyId"), element("SecretAccessKey").into())
    }

    fn settings(&self) -> Value {
        // moto lets an inactive key in.
        json!({"service": "iam", "region": REGION, "endpoint": self.way.address, "stop": "delete"})
    }

    async fn send(&self, who: &Material, service: &str, body: String) -> u16 {
        self.ask(who, service, body).await.0
    }

    async fn ask(&self, who: &Material, service: &str, body: String) -> (u16, String) {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        signed(&self.http, &self.address, (who, service), &headers, body).await
    }
}

/// A request that somebody signed for a service; its status and what was answered.
pub(crate) async fn signed(
    http: &reqwest::Client,
    address: &str,
    (who, service): (&Material, &str),
    headers: &[(&'static str, &str)],
    body: String,
) -> (u16, String) {
    let secret = who.secret.expose_str().unwrap();
    let identity = Credentials::new(who.username.as_deref().unwrap(), secret, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(service)
        .time(SystemClock.now().into())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let address = format!("{address}/");
    let signable = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", &address, headers.iter().copied(), signable).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut request = http.post(address);
    for (name, value) in headers.iter().copied().chain(instructions.headers()) {
        request = request.header(name, value);
    }
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[async_trait]
impl Part for Moto {
    fn name(&self) -> &'static str {
        "aws (moto)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: aws}}\nspec: {{aws: {}, auth: {{credential: aws-admin}}, propagation: 1s}}\n\
             ---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: aws-admin}}\nspec:\n  type: access-key\n  identity: remint\n  issuedBy: {{system: aws, target: admin}}\n  deliveredTo: [{{at: \"keep:aws-admin.json\", fields: {{user: \"{{username}}\", secret: \"{{secret}}\"}}}}]\n  rotation: {{strategy: overlap}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        (format!("system: aws, target: {}-{}", self.prefix, seat.rsplit_once('-').unwrap().1), "overlap")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        self.send(material, "sts", "Action=GetCallerIdentity&Version=2011-06-15".to_owned()).await == 200
    }

    fn calls(&self) -> u64 {
        self.way.calls()
    }
}
