//! `quittance doctor`: the store's checks, told.

use super::{CliError, args::DoctorArgs, report::Report};
use crate::server::store::Finding;
use serde_json::json;

/// Runs every check.
pub async fn run(args: &DoctorArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let checks = services.store.verify().await;
    services.store.close().await;
    Ok(report(&checks?))
}

fn report(checks: &[Finding]) -> Report {
    let findings: Vec<&Finding> = checks.iter().filter(|check| !check.ok).collect();
    let balanced = findings.is_empty();
    let mut text = String::new();
    for check in checks {
        text.push_str(&format!("{}  {}: {}\n", if check.ok { "ok   " } else { "WRONG" }, check.check, check.detail));
    }
    text.push_str(&match findings.len() {
        0 => "All is well: the books balance.\n".to_owned(),
        count => format!("{count} of {} checks failed.\n", checks.len()),
    });
    let names = || findings.iter().map(|finding| finding.check).collect::<Vec<_>>().join("; ");
    let failed = (!balanced).then(|| format!("{} of {} checks failed: {}", findings.len(), checks.len(), names()));
    Report { json: json!({ "balanced": balanced, "findings": findings, "checks": checks }), text, failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finding_is_enough_to_fail() {
        let right = Finding { check: "the books balance", ok: true, detail: "3 deliveries".to_owned() };
        let wrong = Finding { check: "the file is sound", ok: false, detail: "page 3".to_owned() };
        let well = report(std::slice::from_ref(&right));
        assert!(well.failed.is_none() && well.json["balanced"] == true && well.json["findings"] == json!([]));
        let bad = report(&[right, wrong]);
        assert!(bad.failed.is_some() && bad.json["balanced"] == false);
        assert_eq!(bad.json["findings"], json!([{ "check": "the file is sound", "ok": false, "detail": "page 3" }]));
        assert!(bad.text.contains("WRONG  the file is sound: page 3") && bad.text.ends_with("1 of 2 checks failed.\n"));
    }
}
