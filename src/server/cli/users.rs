//! `quittance user …`

use super::{
    CliError,
    args::UserAddArgs,
    report::Report,
    tool::{self, ACTOR},
};
use crate::domain::{Role, id::MerchantId};
use crate::server::service::Services;
use serde_json::json;
use std::io::BufRead;

/// Longest line taken for a password; services take less.
const MAX_LINE: u64 = 16 << 10;

/// Adds a user.
pub async fn add(args: &UserAddArgs) -> Result<Report, CliError> {
    if args.role == Role::Admin && !args.merchant.is_empty() {
        return Err(CliError::Mistakes("--merchant: An administrator sees every merchant; leave it out.".to_owned()));
    }
    let password = first_line(std::io::stdin().lock())?;
    let services = args.database.open(true).await?;
    let added = add_to(&services, args, &password).await;
    services.store.close().await;
    added
}

async fn add_to(services: &Services, args: &UserAddArgs, password: &str) -> Result<Report, CliError> {
    let merchants = args.merchant.iter().map(|name| tool::merchant(services, name)).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<MerchantId> = merchants.iter().map(|merchant| merchant.id).collect();
    let id = services.add_user(&args.email, password, args.role, ids, ACTOR).await?;
    let email = args.email.trim().to_lowercase();
    let slugs: Vec<_> = merchants.iter().map(|merchant| merchant.slug.as_str()).collect();
    let text = format!("Added {} {email}.\n", args.role.label().to_lowercase());
    Ok(Report { json: json!({ "id": id, "email": email, "role": args.role, "merchants": slugs }), text, failed: false })
}

/// The first line without its end; a password may begin and end with spaces.
fn first_line(input: impl BufRead) -> Result<String, CliError> {
    let mut line = String::new();
    input.take(MAX_LINE).read_line(&mut line).map_err(CliError::Password)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err(CliError::NoPassword) } else { Ok(line.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_nothing_else_is_taken_off() {
        assert_eq!(first_line(&b" two words \nmore"[..]).unwrap(), " two words ");
        assert_eq!(first_line(&b"windows\r\n"[..]).unwrap(), "windows");
        assert_eq!(first_line(&b"no line end"[..]).unwrap(), "no line end");
        for nothing in [&b""[..], b"\n", b"\r\nsecond"] {
            assert!(matches!(first_line(nothing), Err(CliError::NoPassword)));
        }
        assert!(matches!(first_line(&b"\xff\xfe\n"[..]), Err(CliError::Password(_))));
    }
}
