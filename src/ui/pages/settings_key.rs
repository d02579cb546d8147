//! *IPN settings › Secret key*: the key in use, changing it with an overlap, seeing it again.

use super::{
    any_flash, flash_of, form_key, page, param,
    settings::{SecretNote, Tabs},
    viewer_at,
};
use crate::{
    domain::{
        Format,
        pages::{
            flash::Flash,
            settings::{IpnSettings, OVERLAPS, OldKeyView},
        },
    },
    rpc::urls::read_settings,
    ui::{
        components::{
            Ago, Confirm, ConflictNote, ConflictTold, FormNotes, Hidden, Icon, Moment, Notice, SelectField, TextField, Tone,
            Version, now, save_label,
        },
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/key`
#[component]
pub fn KeyPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let settings = read_settings(slug.clone()).await?;
        let all = any_flash();
        let secret = all.secret.clone().map(|key| view! { <SecretNote key/> });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings")>
                <Tabs slug=slug.clone() current="key"/>
                <div class="stack narrow">
                    <FormNotes flash=Flash { errors: Vec::new(), ..all.clone() }/>
                    {secret}
                    <ConflictTold flash=flash_of("key-end") what=t!("the settings")/>
                    {settings.old_key.clone().map(|old| overlap(&slug, &settings, &old))}
                    {in_use(&slug, &settings)}
                    {settings.may_change.then(|| change(&slug, &settings))}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn in_use(slug: &str, settings: &IpnSettings) -> impl IntoView + use<> {
    let slug = slug.to_owned();
    let reveal = settings.may_change.then(|| {
        view! {
            <div class="actions">
                <Confirm
                    id="reveal" label=t!("Show the key") icon="key" title=t!("Show the secret key?")
                    consequence=t!("Whoever has it can sign notifications in your name. That you looked is noted in the audit log.")
                    action="/rpc/settings/key/reveal" verb=t!("Show it")
                >
                    <Hidden name="merchant" value=slug/>
                </Confirm>
            </div>
        }
    });
    view! {
        <section class="panel" aria-labelledby="key">
            <h2 id="key">{t!("Secret key")}</h2>
            <p>{rich!(
                "The key in use ends in {hint}. It signs every notification to your scripts, and they sign their read receipts with it.",
                hint = view! { <span class="code">{format!("…{}", settings.key_hint)}</span> }
            )}</p>
            {reveal}
        </section>
    }
}

/// Days, hours and minutes of a time that is left; the two that matter.
fn left(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => t!("{minutes} min", minutes = minutes.max(1)),
        (0, hours) => t!("{hours} h {minutes} min", hours, minutes),
        (days, hours) => tn!("{count} day {hours} h", "{count} days {hours} h", days, hours),
    }
}

/// Both keys are valid: until when, and which URLs have the new one.
fn overlap(slug: &str, settings: &IpnSettings, old: &OldKeyView) -> impl IntoView + use<> {
    let left = left(old.until.since(now()).as_secs());
    let rows: Vec<_> = settings
        .all_urls()
        .map(|url| {
            let (tone, icon, word) = match url.terms.format {
                Format::Json => ("quiet", "info", t!("JSON: signed with both")),
                Format::PassThrough => ("quiet", "info", t!("Passed through: needs no key")),
                Format::Ipn if url.new_key_at.is_some() => ("good", "check", t!("New key")),
                Format::Ipn => ("quiet", "clock", t!("Old key, or not seen yet")),
            };
            view! {
                <tr>
                    <td>{url.label.clone()}</td>
                    <td data-label=t!("Answers with")><span class=format!("badge {tone}")><Icon name=icon/>{word}</span>{url.new_key_at.map(|at| view! { " "<Ago at/> })}</td>
                </tr>
            }
        })
        .collect();
    let answering = || settings.all_urls().filter(|url| url.terms.format == Format::Ipn);
    let changed = answering().filter(|url| url.new_key_at.is_some()).count();
    let of = answering().count();
    let has_json = settings.all_urls().any(|url| url.terms.format == Format::Json);
    let (slug, version) = (slug.to_owned(), settings.version.to_string());
    let end = settings.may_change.then(|| {
        let json = match has_json {
            true => format!(" {}", t!("URLs that get JSON tell nobody which secret they have: see first that they have the new one.")),
            false => String::new(),
        };
        let consequence = if changed == of {
            t!("Every URL has answered with the new key. Receipts made with the old one are no longer accepted.{json}", json)
        } else {
            t!("{changed} of {of} URLs have answered with the new key so far. Scripts that still have the old one fail until you change them; nothing is lost, they are tried again.{json}", changed, of, json)
        };
        view! {
            <div class="actions">
                <Confirm id="end-key" label=t!("End the old key now") icon="cross" title=t!("End the old key now?") danger=true consequence action="/rpc/settings/key/end" verb=t!("End it now")>
                    <Hidden name="merchant" value=slug/>
                    <Hidden name="version" value=version/>
                </Confirm>
            </div>
        }
    });
    let (new_hint, old_hint, until) = (settings.key_hint.clone(), old.hint.clone(), old.until);
    view! {
        <section aria-label=t!("Change of the key")>
            <Notice tone=Tone::Calm title=t!("Two keys are valid: the old one ends in {left}", left)>
                <p>{rich!(
                    "Until {time} receipts made with the new key (…{new}) or the old one (…{old}) are accepted. Each URL gets messages signed with the key that its script answers with; where an answer is no receipt, the next try takes the other key. So enter the new key in your scripts whenever it suits you, one after the other.",
                    time = view! { <Moment at=until/> },
                    new = view! { <span class="code">{new_hint}</span> },
                    old = view! { <span class="code">{old_hint}</span> }
                )}</p>
                <div class="table"><table class="stacking">
                    <thead><tr><th scope="col">{t!("URL")}</th><th scope="col">{t!("Answers with")}</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table></div>
                {has_json.then(|| view! { <p>{t!("URLs that get JSON have signing secrets made of the key: while both keys are valid each message carries a signature of either, so enter the new secret there, too.")}</p> })}
                {end}
            </Notice>
        </section>
    }
}

fn change(slug: &str, settings: &IpnSettings) -> impl IntoView + use<> {
    let (flash, version) = (flash_of("key"), settings.version);
    let (slug, here) = (slug.to_owned(), format!("/m/{slug}/settings/key"));
    let (for_own, for_new) = (flash.clone(), flash.clone());
    let save = save_label(&flash, t!("Use this key"));
    let overlaps: Vec<_> = OVERLAPS.iter().map(|(seconds, label)| (seconds.to_string(), tell(label).to_owned())).collect();
    let forgets = settings.old_key.is_some().then(|| {
        view! { <Notice tone=Tone::Warn title=t!("A change is under way")><p>{t!("Changing the key again ends the old key at once; the key in use becomes the old one.")}</p></Notice> }
    });
    // A form that came back keeps the choice: who chose to end a key at once must not keep it by the next click.
    let chosen = flash.value("overlap").map_or_else(|| OVERLAPS[0].0.to_string(), str::to_owned);
    let for_dialog: Vec<_> = overlaps
        .iter()
        .cloned()
        .map(|(value, label)| view! { <option selected=value == chosen value=value>{label}</option> })
        .collect();
    view! {
        <section class="panel" aria-labelledby="change">
            <h2 id="change">{t!("Change the key")}</h2>
            {forgets}
            <FormNotes flash=Flash { notice: None, problem: None, ..flash.clone() }/>
            <ConflictNote flash=flash.clone() page=here/>
            <form id="own-key" method="post" action="/rpc/settings/key" class="stack">
                <Hidden name="merchant" value=slug.clone()/>
                <Version flash=for_own version/>
                {form_key()}
                <TextField
                    flash=flash.clone() name="secret_key" label=t!("Own secret key") kind="password" required=true autocomplete="new-password"
                    hint=t!("The key that your scripts use already, for instance the one from your gateway's settings.")
                />
                <SelectField
                    flash name="overlap" label=t!("The old key stays valid") options=overlaps value=OVERLAPS[0].0.to_string()
                    hint=t!("Long enough to change all your scripts. Not at all only where others may know the old key.")
                />
            </form>
            // Outside of the form: the dialog has one of its own, and forms do not nest.
            <div class="actions">
                <button class="button" form="own-key">{save}</button>
                <Confirm
                    id="new-key" label=t!("Generate a new key") icon="key" title=t!("Generate a new secret key?")
                    consequence=t!("The new key is shown once. Enter it in your scripts while the old one is still valid; without an overlap, scripts that check with the old one refuse what comes until you change them. Nothing is lost, it is tried again.")
                    action="/rpc/settings/key" verb=t!("Generate a new key")
                >
                    <Hidden name="merchant" value=slug/>
                    <Hidden name="generate" value="true"/>
                    <Version flash=for_new version/>
                    {form_key()}
                    <div class="field">
                        <label for="new-overlap">{t!("The old key stays valid")}</label>
                        <select id="new-overlap" name="overlap">
                            {for_dialog}
                        </select>
                    </div>
                </Confirm>
            </div>
        </section>
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::left;

    #[test]
    fn what_is_left_is_said_in_words() {
        for (seconds, words) in
            [(5, "1 min"), (3_599, "59 min"), (86_250, "23 h 57 min"), (86_400, "1 day 0 h"), (700_000, "8 days 2 h")]
        {
            assert_eq!(left(seconds), words);
        }
    }
}
