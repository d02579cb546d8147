//! The receiver kit of a URL: a listener in the language asked for, with the algorithm of that URL.

use super::Services;
use crate::domain::{
    Algorithm, AppError,
    id::UrlId,
    pages::settings::{Kit, KitLanguage},
};
use crate::server::{kit::Language, store::Merchant};

impl Services {
    /// The kit of a URL; an unknown language is the first.
    pub fn url_kit(&self, merchant: &Merchant, id: UrlId, language: &str) -> Result<Kit, AppError> {
        let url = self.find_url(merchant, id)?;
        let language = Language::from_code(language).unwrap_or(Language::Php);
        // The strongest: a message carries a signature of each, and any that is as strong as the weakest confirms.
        let algorithm = url.algorithms.strongest().unwrap_or(Algorithm::Md5);
        Ok(Kit {
            label: url.label.clone(),
            url: url.url.clone(),
            is_default: url.is_default,
            algorithms: url.algorithms,
            algorithm,
            languages: Language::ALL
                .map(|other| KitLanguage {
                    code: other.code().to_owned(),
                    label: other.label().to_owned(),
                    chosen: other == language,
                })
                .to_vec(),
            file: language.file().to_owned(),
            code: language.listener(algorithm),
            is_tested: language.is_run_in_tests(),
        })
    }
}
