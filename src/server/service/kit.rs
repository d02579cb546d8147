//! The receiver kit of a URL: a listener in the language asked for, with the algorithm of that URL.

use super::{ServiceResult, Services};
use crate::domain::{
    Algorithm, AppError, Format,
    id::UrlId,
    pages::settings::{Kit, KitLanguage},
};
use crate::server::{
    dispatch::format::webhook::Secret,
    kit::Language,
    store::{Actor, Merchant, Note},
};

impl Services {
    /// The kit of a URL; an unknown language is the first.
    pub fn url_kit(&self, merchant: &Merchant, id: UrlId, language: &str) -> Result<Kit, AppError> {
        let url = self.find_url(merchant, id)?;
        let format = url.terms.format;
        let language = Language::from_code(language).unwrap_or(Language::Php);
        // The strongest: a message carries a signature of each, and any that is as strong as the weakest confirms.
        let algorithm = url.algorithms.strongest().unwrap_or(Algorithm::Md5);
        let (file, code) = match format {
            Format::Json => {
                let (file, text) = language.webhook();
                (file, text.to_owned())
            }
            Format::Ipn | Format::PassThrough => (language.file(), language.listener(algorithm)),
        };
        Ok(Kit {
            label: url.label.clone(),
            url: url.url.clone(),
            is_default: url.is_default,
            algorithms: url.algorithms,
            algorithm,
            format,
            languages: Language::ALL
                .into_iter()
                .map(|other| KitLanguage {
                    code: other.code().to_owned(),
                    label: other.label().to_owned(),
                    chosen: other == language,
                })
                .collect(),
            file: file.to_owned(),
            code,
            is_tested: language.is_run_in_tests(),
        })
    }

    /// The secret that messages to a URL are signed with where they leave as JSON. That somebody looked is in the audit log
    /// before he sees it.
    pub async fn reveal_signing_secret(
        &self,
        merchant: &Merchant,
        id: UrlId,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<String> {
        let url = self.find_url(merchant, id)?;
        let note = Note {
            merchant_id: Some(merchant.id),
            action: "url.secret-shown",
            subject: url.label.clone(),
            detail: String::new(),
        };
        self.store.note(note, actor).await?;
        Ok(Secret::of(merchant.secret_key.reveal(), url.id).reveal())
    }
}
