//! The image, as far as it is shown without one: nobody here can fetch its base images. Its steps build what it copies, the
//! programs need nothing that its last base has not, and they believe the authorities of the file that it names.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::ExtendedKeyUsagePurpose;
use remint::serve::{Certificates, Listen};

use super::entrances::{Authority, write};
use super::{Place, client::Client};

/// The shared libraries of gcr.io/distroless/cc-debian12, and the newest interface of its C library (Debian 12).
const LIBRARIES: [&str; 11] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libcrypto.so.3",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libgomp.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libssl.so.3",
    "libstdc++.so.6",
];
const GLIBC: (u32, u32) = (2, 36);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Each step of the Containerfile as its word and what stands behind it.
fn steps() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("Containerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(' ').unwrap()).map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

fn of<'s>(steps: &'s [(String, String)], word: &'s str) -> impl Iterator<Item = &'s str> {
    steps.iter().filter(move |(found, _)| found == word).map(|(_, rest)| rest.as_str())
}

fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_remint")).with_file_name(name);
    assert!(
        path.exists(),
        "{} is not built; cargo xtask test does, or: cargo build --manifest-path policy/Cargo.toml",
        path.display()
    );
    path
}

#[test]
fn the_steps_build_what_is_copied_and_nobody_is_root() {
    let steps = steps();
    let said = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut built = Vec::new();
    for step in of(&steps, "RUN") {
        let words: Vec<&str> = step.split(' ').collect();
        assert_eq!(words[..4], ["cargo", "build", "--locked", "--release"], "{step}");
        let after = |word: &str| words.iter().position(|found| *found == word).map(|at| words[at + 1]);
        let manifest = after("--manifest-path").unwrap_or("Cargo.toml");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1", "--manifest-path"]);
        let metadata: serde_json::Value =
            serde_json::from_str(&said(cargo.arg(root().join(manifest)).output().unwrap())).unwrap();
        let bin = after("--bin").unwrap();
        let targets =
            metadata["packages"].as_array().unwrap().iter().flat_map(|one| one["targets"].as_array().unwrap());
        assert!(targets.into_iter().any(|one| one["name"] == bin && one["kind"][0] == "bin"), "{step}");
        let folder = Path::new(manifest).parent().unwrap();
        built.push(format!("/src/{}/release/{bin}", folder.join("target").display()));
    }
    let copied: Vec<&str> = of(&steps, "COPY").filter_map(|step| step.strip_prefix("--from=build ")).collect();
    assert_eq!(copied.len(), built.len());
    for (step, from) in copied.iter().zip(&built) {
        // The decision program is looked for beside the other.
        let name = from.rsplit('/').next().unwrap();
        assert_eq!(*step, format!("{from} /usr/local/bin/{name}"));
    }
    assert_eq!(of(&steps, "USER").collect::<Vec<_>>(), ["65532:65532"]);
    let toolchain = of(&steps, "FROM").next().unwrap();
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert_eq!(toolchain, format!("docker.io/library/rust:{version}-bookworm AS build"));
}

#[test]
fn the_programs_need_no_library_that_the_base_image_has_not() {
    for name in ["remint", "remint-policy"] {
        let output =
            Command::new("readelf").args(["--wide", "--dynamic", "--version-info"]).arg(program(name)).output();
        let output = output.expect("binutils are installed: whoever links has them");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let needed: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .map(|line| line.split(['[', ']']).nth(1).unwrap())
            .collect();
        assert!(needed.contains(&"libc.so.6"), "{name}: {needed:?}");
        let foreign: Vec<_> = needed.iter().filter(|library| !LIBRARIES.contains(library)).collect();
        assert!(foreign.is_empty(), "{name} needs {foreign:?}");
        let interfaces = text.split("Name: GLIBC_").skip(1).filter_map(|one| {
            let mut parts = one.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.split('.');
            Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
        });
        let newest = interfaces.max().unwrap();
        assert!(newest <= GLIBC, "{name} needs the C library {newest:?}: build it on Debian 12, as the image does");
    }
}

#[tokio::test]
async fn the_program_believes_the_authorities_of_the_file_that_the_image_names() {
    let named = steps();
    let named = of(&named, "ENV").next().unwrap();
    assert_eq!(named, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt");
    let (place, authority) = (Place::new(1).await, Authority::new());
    let [certificate, key, bundle, token] =
        ["tls.crt", "tls.key", "bundle", "token"].map(|name| place.keys.path().join(name));
    let shown = authority.signs("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    write(&certificate, &shown.0);
    write(&key, &shown.1);
    write(&bundle, &authority.pem());
    write(&token, super::TOKEN);
    let listen = Listen::tls("127.0.0.1:0".parse().unwrap(), Certificates { certificate, key, clients: None }).unwrap();
    let address = format!("https://localhost:{}", listen.address().unwrap().port());
    let mut options = place.options(Listen::Socket(place.socket()));
    options.listen.push(listen);
    let daemon = place.serving(options, Client::socket(place.socket())).await;
    let ask = |bundle: Option<&Path>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_remint"));
        command.env_clear().env("HOME", place.keys.path()).args(["--server", &address, "--server-token-file"]);
        command.arg(&token).args(["get", "resets"]);
        if let Some(bundle) = bundle {
            command.env("SSL_CERT_FILE", bundle);
        }
        command
    };
    let said = async |bundle: Option<&Path>| {
        let output = ask(bundle).output().await.unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let stranger = said(None).await;
    assert!(stranger.contains("certificate"), "{stranger}");
    let believed = said(Some(&bundle)).await;
    assert!(!believed.contains("certificate") && believed.contains("token"), "{believed}");
    daemon.stop().await;
}
