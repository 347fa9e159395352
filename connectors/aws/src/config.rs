//! The settings of an `aws` system: which service, in which region, of which account. Reading makes no call.

use remint_contract::SettingProblem;
use serde::Deserialize;
use url::{Host, Url};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: Service,
    region: String,
    #[serde(default)]
    regions: Vec<String>,
    role: Option<Role>,
    endpoint: Option<String>,
    format: Option<Format>,
    sessions: Option<Sessions>,
    stop: Option<Stop>,
}

/// What is asked of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    Iam,
    SecretsManager,
    Ssm,
}

/// How one text carries fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// An object of texts.
    Json,
    /// It is one field, `value`.
    Text,
}

/// What becomes of sessions that came from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sessions {
    /// A policy denies those that are older than the key's end.
    Denied,
}

/// How a key is stopped where a reset stops before it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stop {
    /// So that it can be undone, by anybody who may.
    Inactive,
    /// At once for good.
    Delete,
}

/// A role that Remint's own credential may assume, in this account or another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) arn: String,
    #[serde(rename = "externalId")]
    pub(crate) external_id: Option<String>,
}

/// Settings that were read and found good.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    pub(crate) region: String,
    /// Where access keys are tried.
    pub(crate) regions: Vec<String>,
    pub(crate) role: Option<Role>,
    /// Instead of AWS's own addresses; without a slash at its end.
    pub(crate) endpoint: Option<String>,
    pub(crate) format: Format,
    /// Are sessions that came from a key ended?
    pub(crate) ends_sessions: bool,
    pub(crate) stop: Stop,
}

/// Where IAM is asked, which has one place per partition: address, and the region that it is signed for.
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) region: &'static str,
}

impl Settings {
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|problem| vec![wrong(&[], problem.to_string())])?;
        let mut problems = Vec::new();
        if let Err(message) = read_region(&written.region) {
            problems.push(wrong(&["region"], message));
        }
        for (index, region) in written.regions.iter().enumerate() {
            if let Err(message) = read_region(region) {
                problems.push(wrong(&["regions", &index.to_string()], message));
            }
        }
        if written.service != Service::Iam && !written.regions.is_empty() {
            let message = "a store is in one region; write a System for each";
            problems.push(wrong(&["regions"], message));
        }
        if written.service == Service::Iam && written.format.is_some() {
            problems.push(wrong(&["format"], "IAM stores nothing; leave it out"));
        }
        if written.service != Service::Iam && written.sessions.is_some() {
            problems.push(wrong(&["sessions"], "a store begins no sessions; leave it out"));
        }
        if written.service != Service::Iam && written.stop.is_some() {
            problems.push(wrong(&["stop"], "a store stops nothing; leave it out"));
        }
        if written.role.as_ref().is_some_and(|role| !is_role(&role.arn)) {
            problems.push(wrong(&["role", "arn"], "write arn:aws:iam::ACCOUNT:role/NAME"));
        }
        let endpoint = written.endpoint.map(|endpoint| read_endpoint(&endpoint)).transpose();
        let endpoint = endpoint.unwrap_or_else(|message| {
            problems.push(wrong(&["endpoint"], message));
            None
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let regions = if written.regions.is_empty() { vec![written.region.clone()] } else { written.regions };
        let usual = if written.service == Service::Ssm { Format::Text } else { Format::Json };
        Ok(Self {
            service: written.service,
            region: written.region,
            regions,
            role: written.role,
            endpoint,
            format: written.format.unwrap_or(usual),
            stop: written.stop.unwrap_or(Stop::Inactive),
            ends_sessions: written.sessions == Some(Sessions::Denied),
        })
    }

    /// Where an access key is tried, by region.
    pub(crate) fn tried_at(&self) -> Vec<String> {
        let address = |region: &String| match &self.endpoint {
            Some(endpoint) => format!("{endpoint} ({region})"),
            None => format!("https://sts.{region}.{}", domain(region)),
        };
        self.regions.iter().map(address).collect()
    }

    /// Where a service of the region is.
    pub(crate) fn address(&self, service: &str) -> String {
        let usual = || format!("https://{service}.{}.{}", self.region, domain(&self.region));
        self.endpoint.clone().unwrap_or_else(usual)
    }

    /// Where IAM is.
    pub(crate) fn iam(&self) -> Place {
        let (usual, region) = if self.region.starts_with("cn-") {
            ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
        } else if self.region.starts_with("us-gov-") {
            ("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
        } else {
            ("https://iam.amazonaws.com", "us-east-1")
        };
        Place { address: self.endpoint.clone().unwrap_or_else(|| usual.to_owned()), region }
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn wrong(path: &[&str], message: impl Into<String>) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// A region's name goes into an address: it must not lead anywhere else.
fn read_region(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = text.ends_with(|last: char| last.is_ascii_digit());
    if !text.bytes().all(plain) || !ends || text.matches('-').count() < 2 || text.len() > 32 {
        Err("write a region, as eu-central-1")
    } else if text.starts_with("us-iso") || text.starts_with("eu-isoe") || text.starts_with("eusc-") {
        Err("this partition's addresses are not known here")
    } else {
        Ok(())
    }
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return false };
    partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

/// The messages never repeat the address: it may hold what should not be there.
fn read_endpoint(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "write https://host:port and nothing after it";
    let url = Url::parse(text).map_err(|_| FORM)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no user and no password may stand in the address; name the credential in `auth`");
    }
    if url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        return Err(FORM);
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(FORM),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err("write https://; without TLS values can be read on the way (http:// only to this machine)");
        }
        _ => return Err(FORM),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(settings: &Value) -> Vec<(String, String)> {
        let problems = Settings::read(settings).err().unwrap_or_default();
        problems.into_iter().map(|one| (one.path.join("."), one.message)).collect()
    }

    #[test]
    fn keys_are_tried_where_the_regions_say() {
        let settings = json!({"service": "iam", "region": "eu-central-1"});
        let one = Settings::read(&settings).unwrap();
        assert_eq!(one.tried_at(), ["https://sts.eu-central-1.amazonaws.com"]);
        assert_eq!((one.iam().address.as_str(), one.iam().region), ("https://iam.amazonaws.com", "us-east-1"));
        let settings = json!({"service": "iam", "region": "cn-north-1", "regions": ["cn-north-1", "cn-northwest-1"]});
        let two = Settings::read(&settings).unwrap();
        assert_eq!(two.tried_at()[1], "https://sts.cn-northwest-1.amazonaws.com.cn");
    }

    #[test]
    fn every_problem_has_its_place() {
        let settings = json!({"service": "ssm", "region": "evil.example/", "regions": ["x"],
            "role": {"arn": "arn:aws:iam::1:role/x"}, "endpoint": "http://aws.example"});
        let places: Vec<String> = problems(&settings).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["region", "regions.0", "regions", "role.arn", "endpoint"]);
        assert!(problems(&json!({"service": "iam", "region": "us-iso-east-1"}))[0].1.contains("partition"));
    }

    #[test]
    fn an_endpoint_that_holds_a_password_is_not_repeated() {
        let settings = json!({"service": "ssm", "region": "eu-west-1", "endpoint": "https://u:marker-4711@host"});
        let said = format!("{:?}", problems(&settings));
        assert!(said.contains("endpoint") && !said.contains("marker"), "{said}");
    }
}
