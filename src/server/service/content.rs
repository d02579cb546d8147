//! What leaves for a merchant's URLs: which statuses, which fields.

use super::{ServiceResult, Services, fields::Mistakes};
use crate::domain::{
    Tags, Triggers,
    content::{FORCED_TAGS, MAX_OTHER_TAGS, is_listed},
};
use crate::server::store::{Actor, Merchant};
use std::{collections::BTreeSet, sync::Arc};

/// What somebody enters.
#[derive(Debug, Clone, Default)]
pub struct ContentForm {
    /// Statuses, with commas between.
    pub triggers: String,
    /// Only chosen fields leave.
    pub only: bool,
    /// The chosen fields of the groups, with commas between.
    pub tags: String,
    /// More names, as somebody types them.
    pub other_tags: String,
}

/// Reads chosen statuses; none of them is a mistake.
pub fn triggers(text: &str) -> Result<Triggers, String> {
    let triggers: Triggers = text.parse().map_err(|error: crate::domain::content::UnknownTrigger| error.to_string())?;
    if triggers.is_empty() {
        return Err("Choose at least one status; to have nothing sent, put URLs on hold or remove them.".to_owned());
    }
    Ok(triggers)
}

fn tags(form: &ContentForm) -> Result<Tags, String> {
    let typed = form.other_tags.split([',', ';', ' ', '\t', '\r', '\n']).map(|name| name.trim().trim_end_matches("[]"));
    let mut names = BTreeSet::new();
    for name in typed.filter(|name| !name.is_empty()) {
        let is_name =
            name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if !is_name {
            let shown: String = name.chars().take(40).collect();
            return Err(format!("“{shown}” is no name of a field; names have letters, digits and underscores."));
        }
        names.insert(name.to_owned());
        if names.len() > MAX_OTHER_TAGS {
            return Err(format!("Name at most {MAX_OTHER_TAGS} fields here."));
        }
    }
    if !form.only {
        return Ok(Tags::All);
    }
    names.extend(form.tags.split(',').filter(|name| is_listed(name)).map(str::to_owned));
    names.retain(|name| !FORCED_TAGS.contains(&name.as_str()));
    Ok(Tags::Only(Arc::new(names)))
}

impl Services {
    /// Sets which statuses and which fields a merchant's URLs get.
    pub async fn save_content(
        &self,
        merchant: &Merchant,
        form: &ContentForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let mut mistakes = Mistakes::default();
        let triggers = mistakes.take("triggers", triggers(&form.triggers));
        let tags = mistakes.take("other_tags", tags(form));
        mistakes.end()?;
        if let (Some(triggers), Some(tags)) = (triggers, tags) {
            let actor = actor.into();
            let seen = actor.seen;
            let saved = self.store.set_content(merchant.id, triggers, tags, actor).await;
            self.or_conflict(merchant.id.get(), seen, saved).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_chosen_by_boxes_and_by_name() {
        let form = ContentForm {
            only: true,
            tags: "CURRENCY,NOT_LISTED".to_owned(),
            other_tags: "MY_FIELD[], REFNO\nOTHER".to_owned(),
            ..ContentForm::default()
        };
        assert_eq!(tags(&form), Ok(Tags::only("CURRENCY,MY_FIELD,OTHER")), "forced ones need no naming");
        assert_eq!(tags(&ContentForm { only: false, ..form.clone() }), Ok(Tags::All));
        assert!(tags(&ContentForm { other_tags: "a=b".to_owned(), ..form }).unwrap_err().contains("“a=b”"));
        assert!(triggers("").unwrap_err().contains("at least one"));
        assert!(triggers("PAID").unwrap_err().contains("\"PAID\""));
    }
}
