//! `quittance user …`

use super::{
    CliError,
    args::{ListArgs, UserAddArgs, UserInviteArgs, UserNameArgs},
    report::{Report, table},
    tool::{self, ACTOR},
};
use crate::domain::{
    AppError, Role,
    id::MerchantId,
    pages::people::{Standing, UserFilter, UserRow},
};
use crate::server::service::{ServiceError, ServiceResult, Services, users::UserForm};
use serde_json::{Value, json};
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
    Ok(Report { json: json!({ "id": id, "email": email, "role": args.role, "merchants": slugs }), text, failed: None })
}

/// Lists users.
pub async fn list(args: &ListArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let read = all(&services).await;
    services.store.close().await;
    let users = read?;
    let names = |user: &UserRow| user.merchants.iter().map(|merchant| merchant.slug.clone()).collect::<Vec<_>>();
    let json: Vec<Value> = users
        .iter()
        .map(|user| {
            let (email, role, standing) = (&user.email, user.role, user.standing);
            json!({ "id": user.id, "email": email, "role": role, "standing": standing, "merchants": names(user) })
        })
        .collect();
    let rows: Vec<_> = users
        .iter()
        .map(|user| [user.email.clone(), user.role.name().to_owned(), word(user.standing).to_owned(), names(user).join(", ")])
        .collect();
    let text = if rows.is_empty() {
        "There is no user yet; the server prints a link for the first, or use `quittance user add`.\n".to_owned()
    } else {
        table(["USER", "ROLE", "STANDING", "MERCHANTS"], &rows)
    };
    Ok(Report { json: json!({ "users": json }), text, failed: None })
}

async fn all(services: &Services) -> ServiceResult<Vec<UserRow>> {
    let mut users = Vec::new();
    let mut filter = UserFilter::default();
    loop {
        let page = services.user_list(None, &filter).await?;
        users.extend(page.rows);
        match users.last() {
            Some(last) if page.more => filter.after = Some(last.email.clone()),
            _ => return Ok(users),
        }
    }
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Invited => "invited",
        Standing::Lapsed => "invitation lapsed",
        Standing::Disabled => "disabled",
    }
}

/// Invites a user.
pub async fn invite(args: &UserInviteArgs) -> Result<Report, CliError> {
    let services = args.database.open(true).await?;
    let made = async {
        let merchants = args.merchant.iter().map(|name| tool::merchant(&services, name)).collect::<Result<Vec<_>, _>>()?;
        let merchants = merchants.iter().map(|merchant| merchant.slug.clone()).collect();
        let form = UserForm { email: args.email.clone(), role: args.role.name().to_owned(), merchants };
        Ok::<_, CliError>(services.invite(None, &form, ACTOR).await?)
    }
    .await;
    services.store.close().await;
    let path = format!("/join?token={}", made?.reveal());
    let email = args.email.trim().to_lowercase();
    let text = format!("Invited {email}.\nThe link to send on, shown this once, behind the panel's address: {path}\n");
    Ok(Report { json: json!({ "email": email, "role": args.role, "path": path }), text, failed: None })
}

/// Disables or enables a user.
pub async fn set_disabled(args: &UserNameArgs, disabled: bool) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let email = args.email.trim().to_lowercase();
    let done = async {
        let user = services
            .store
            .user_by_email(&email)
            .await?
            .ok_or_else(|| AppError::field("email", format!("There is no user {email}; `quittance user list` shows all.")))?;
        services.set_disabled(None, user.id, disabled, ACTOR).await?;
        Ok::<_, ServiceError>(())
    }
    .await;
    services.store.close().await;
    done?;
    let word = if disabled { "Disabled" } else { "Enabled" };
    Ok(Report { json: json!({ "email": email, "disabled": disabled }), text: format!("{word} {email}.\n"), failed: None })
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
