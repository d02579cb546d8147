//! From names to addresses.

use super::{Failure, has_no_file_left};
use crate::domain::Cause;
use hickory_resolver::{
    Resolver as Hickory, TokioResolver,
    config::LookupIpStrategy,
    net::{NetError, runtime::TokioRuntimeProvider},
};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Looks names up.
#[derive(Clone)]
pub enum Resolver {
    /// As the machine's settings say: its hosts file and its name servers.
    System(Box<TokioResolver>),
    /// From a table, for tests.
    Table(Arc<HashMap<String, Vec<IpAddr>>>),
}

impl Resolver {
    /// A resolver with the machine's settings.
    pub fn system() -> Self {
        let provider = TokioRuntimeProvider::default;
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "the machine's name servers are not configured; only its hosts file is used");
            Hickory::builder_with_config(Default::default(), provider())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        match builder.build() {
            Ok(resolver) => Self::System(Box::new(resolver)),
            Err(error) => {
                tracing::warn!(%error, "names cannot be looked up");
                Self::Table(Arc::default())
            }
        }
    }

    /// The addresses of a name, in the order to try them.
    pub async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        match self {
            Self::Table(table) => {
                table.get(host).cloned().ok_or_else(|| Failure::of(Cause::UnknownName, format!("There is no {host}.")))
            }
            Self::System(resolver) => match resolver.lookup_ip(host).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(error) if error.is_nx_domain() => Err(Failure::of(Cause::UnknownName, format!("There is no {host}."))),
                Err(error) if error.is_no_records_found() => {
                    Err(Failure::of(Cause::UnknownName, format!("{host} has no address.")))
                }
                Err(error) => {
                    Err(Failure { is_ours: is_ours(&error), ..Failure::of(Cause::NameServerSilent, error.to_string()) })
                }
            },
        }
    }
}

/// Whether this machine had nothing left to ask with.
fn is_ours(error: &NetError) -> bool {
    matches!(error, NetError::Io(error) if has_no_file_left(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn files_that_run_out_are_not_blamed_on_the_name_server() {
        let failed = |error: io::Error| is_ours(&NetError::from(error));
        for (code, ours) in [(24, true), (23, true), (101, false), (111, false)] {
            assert_eq!(failed(io::Error::from_raw_os_error(code)), ours, "{code}");
        }
    }
}
