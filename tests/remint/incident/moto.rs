//! Access keys of users, of moto: it checks every signature, and it is not AWS.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use remint_contract::{Clock as _, HostRules, Material, Strategy, SystemClock};
use serde_json::{Value, json};

use super::part::{Counted, Part, Seat, decided, fresh, mint, open, told};

/// What Remint acts with at the account.
const ADMIN: &str = "aws-admin";

const REGION: &str = "eu-central-1";

/// A policy that allows everything, as it stands in a form.
const ALL: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";

pub(crate) struct Moto {
    address: String,
    http: reqwest::Client,
    way: Counted,
    prefix: String,
    seats: Vec<Seat>,
}

impl Moto {
    pub(crate) async fn with(count: usize) -> Self {
        let address = told("REMINT_TEST_AWS");
        let admin = Material::login(told("REMINT_TEST_AWS_KEY"), told("REMINT_TEST_AWS_SECRET").into());
        let way = Counted::to(&address).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut moto = Self { address, http, way, prefix: fresh(), seats: Vec::new() };
        let connector = open("aws", &moto.settings(), &HostRules::default());
        for index in 0..count {
            let user = moto.user(&admin, &format!("{index:02}")).await;
            let make = || mint(&connector, Some(&admin), (&user, Value::Null, Strategy::Overlap));
            let first = make().await;
            // The second place of the user: his keys are full.
            let planted = if index == 0 { Some(moto.stolen(&admin, &user).await) } else { None };
            moto.seats.push(Seat::of(format!("aws-{index:02}"), first).planted(planted));
        }
        let user = moto.user(&admin, "remint").await;
        let asked =
            format!("Action=PutUserPolicy&Version=2010-05-08&UserName={user}&PolicyName=all&PolicyDocument={ALL}");
        let (status, answer) = moto.ask(&admin, "iam", asked).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let own = mint(&connector, Some(&admin), (&user, Value::Null, Strategy::Overlap)).await;
        moto.seats.push(Seat::own(ADMIN, own));
        moto
    }

    async fn user(&self, admin: &Material, number: &str) -> String {
        let user = format!("{}-{number}", self.prefix);
        let asked = format!("Action=CreateUser&Version=2010-05-08&UserName={user}");
        assert_eq!(self.ask(admin, "iam", asked).await.unwrap().0, 200);
        user
    }

    /// A key that nobody of ours asked for.
    async fn stolen(&self, admin: &Material, user: &str) -> Material {
        let asked = format!("Action=CreateAccessKey&Version=2010-05-08&UserName={user}");
        let (status, answer) = self.ask(admin, "iam", asked).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let element =
            |tag: &str| answer.split_once(&format!("<{tag}>")).unwrap().1.split_once("</").unwrap().0.to_owned();
        Material::login(element("AccessKeyId"), element("SecretAccessKey").into())
    }

    fn settings(&self) -> Value {
        // moto lets an inactive key in.
        json!({"service": "iam", "region": REGION, "endpoint": self.way.address, "stop": "delete"})
    }

    async fn ask(&self, who: &Material, service: &str, body: String) -> Result<(u16, String), reqwest::Error> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        try_signed(&self.http, &self.address, (who, service), &headers, body).await
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
    try_signed(http, address, (who, service), headers, body).await.unwrap()
}

/// As [`signed`], where the way may fail.
async fn try_signed(
    http: &reqwest::Client,
    address: &str,
    (who, service): (&Material, &str),
    headers: &[(&'static str, &str)],
    body: String,
) -> Result<(u16, String), reqwest::Error> {
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
    let answer = request.body(body).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[async_trait]
impl Part for Moto {
    fn name(&self) -> &'static str {
        "aws (moto)"
    }

    fn documents(&self) -> String {
        format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: aws}}\nspec: {{aws: {}, auth: {{credential: {ADMIN}}}, propagation: 1s}}\n",
            self.settings()
        )
    }

    fn seats(&self) -> &[Seat] {
        &self.seats
    }

    fn issued(&self, seat: &str) -> (String, &'static str) {
        let number = if seat == ADMIN { "remint" } else { seat.rsplit_once('-').unwrap().1 };
        (format!("system: aws, target: {}-{number}", self.prefix), "overlap")
    }

    async fn accepts(&self, _seat: &str, material: &Material) -> bool {
        decided(|| async {
            match self.ask(material, "sts", "Action=GetCallerIdentity&Version=2011-06-15".to_owned()).await {
                Ok((200, _)) => Ok(true),
                Ok((403, answer)) if answer.contains("InvalidClientTokenId") => Ok(false),
                Ok((status, answer)) => Err(format!("{status} {answer}")),
                Err(failure) => Err(failure.to_string()),
            }
        })
        .await
    }

    fn calls(&self) -> Option<u64> {
        Some(self.way.calls())
    }
}
