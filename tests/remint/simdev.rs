#![allow(dead_code, clippy::all)]
#[cfg(test)]
mod sim;
#[cfg(test)]
mod store { pub(crate) async fn suite<S: remint::store::Store + 'static>(_: impl AsyncFn() -> S) {} }
