//! Whether what is read of a message is what was signed. A field beside the signature is anybody's: whoever has one genuine
//! message could change it, so a file must name each that it reads all the same.

use super::{BodyForm, Origin, Preset, Signature};
use crate::server::gateway::{fields::Path, template::Template};

/// Something that is read of a request.
enum Read<'p> {
    Field(&'p Path),
    Header(&'p str),
    /// The number of the message that a header carries.
    Id,
}

impl Read<'_> {
    fn written(&self) -> String {
        match self {
            Self::Field(path) => path.written(),
            Self::Header(name) => format!("@header.{name}"),
            Self::Id => "@id".to_owned(),
        }
    }
}

/// What a file reads that is neither signed nor named as unsigned.
pub(super) fn check(preset: &Preset) -> Result<(), String> {
    // What the gateway is asked about as a whole needs no signature.
    if preset.signatures.is_empty() {
        return Ok(());
    }
    for (place, read) in reads(preset) {
        if preset.signatures.iter().all(|signature| signature.covers(&read, preset)) || preset.names_unsigned(&read) {
            continue;
        }
        let what = read.written();
        let cure = match read {
            Read::Id => {
                "put {@id} into the signature's message, or make the message's number of fields that are signed".to_owned()
            }
            _ => format!("read what is signed, or name it: unsigned = [{what:?}]"),
        };
        return Err(format!("{place}: {what} is not part of what is signed, so that anybody can change it; {cure}"));
    }
    Ok(())
}

/// Everything that is read and may matter, with where in the file that stands.
fn reads(preset: &Preset) -> Vec<(&'static str, Read<'_>)> {
    let order = &preset.order;
    let mut reads = Vec::new();
    for (place, paths) in [
        ("order.reference", &order.reference),
        ("order.external", &order.external),
        ("order.email", &order.email),
        ("order.product", &order.product),
        ("order.product-id", &order.product_id),
        ("order.payment-method", &order.payment_method),
        ("order.refund", &order.refund),
        ("order.refunded", &order.refunded),
    ] {
        reads.extend(paths.iter().map(|path| (place, Read::Field(path))));
    }
    if let Some(amount) = &order.amount {
        reads.extend(amount.value.iter().chain(&amount.currency).map(|path| ("order.amount", Read::Field(path))));
    }
    if let Some(at) = &order.at {
        reads.extend(at.from.iter().map(|path| ("order.at", Read::Field(path))));
    }
    let templates = order.customer.iter().map(|template| ("order.customer", template));
    let templates = templates.chain(order.message.iter().map(|template| ("order.message", template)));
    for (place, template) in templates.chain(preset.statuses.iter().map(|table| ("status.word", &table.word))) {
        reads.extend(of(template).map(|read| (place, read)));
    }
    for (place, conditions) in [("order.test", &order.test), ("order.apart", &order.apart), ("order.undone", &order.undone)] {
        reads.extend(conditions.iter().map(|condition| {
            let read = match &condition.origin {
                Origin::Header(name) => Read::Header(name),
                Origin::Field(path) => Read::Field(path),
            };
            (place, read)
        }));
    }
    reads.extend(preset.checks.iter().map(|check| ("check.field", Read::Field(&check.field))));
    reads
}

fn of(template: &Template) -> impl Iterator<Item = Read<'_>> {
    let id = template.has_id().then_some(Read::Id);
    template.fields().map(Read::Field).chain(template.headers().map(Read::Header)).chain(id)
}

impl Preset {
    fn names_unsigned(&self, read: &Read<'_>) -> bool {
        self.unsigned.iter().any(|known| match (known, read) {
            (Origin::Field(known), Read::Field(path)) => known == *path,
            (Origin::Header(known), Read::Header(name)) => known == name,
            _ => false,
        })
    }
}

impl Signature {
    fn covers(&self, read: &Read<'_>, preset: &Preset) -> bool {
        match read {
            Read::Id => self.message.has_id(),
            Read::Header(name) => self.message.headers().any(|known| known == *name),
            Read::Field(path) => {
                let is_wrapped = |field: &Path| path.is_inner() && preset.inner.as_ref() == Some(field);
                self.message.has_body()
                    || self.message.fields().any(|field| field == *path || is_wrapped(field))
                    || self.pairs.as_ref().is_some_and(|pairs| pairs.has(path, preset.body == BodyForm::Form))
            }
        }
    }
}
