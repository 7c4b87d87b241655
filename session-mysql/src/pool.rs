//! What an application's own pool has to have.

use std::collections::BTreeMap;

use session_core::StoreError;

use crate::error::unsafe_setting;

/// The statements for which a node of a Galera cluster catches up: bits of `wsrep_sync_wait`.
const READS_AND_CHANGES: u32 = 3;

const AUTOCOMMIT: &str =
    "the pool's connections have autocommit off, so no write would be kept: run SET autocommit = 1 on each of them";

const SYNC_WAIT: &str = "the server is a node of a Galera cluster, which may still have sessions that were ended: run \
    SET wsrep_sync_wait = 3 on each of the pool's connections";

/// Whether promises hold over a connection with these settings.
pub(crate) fn judge(settings: &BTreeMap<String, String>) -> Result<(), StoreError> {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if is("autocommit", "OFF") {
        return Err(unsafe_setting(AUTOCOMMIT));
    }
    let catches_up = settings.get("wsrep_sync_wait").and_then(|kinds| kinds.parse::<u32>().ok());
    if is("wsrep_on", "ON") && catches_up.is_none_or(|kinds| kinds & READS_AND_CHANGES != READS_AND_CHANGES) {
        return Err(unsafe_setting(SYNC_WAIT));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_safe(settings: &[(&str, &str)]) -> bool {
        judge(&settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).is_ok()
    }

    #[test]
    fn a_connection_commits_by_itself_and_a_node_of_a_cluster_catches_up() {
        assert!(is_safe(&[("autocommit", "ON")]));
        assert!(!is_safe(&[("autocommit", "OFF")]));
        for (kinds, safe) in [("0", false), ("1", false), ("2", false), ("3", true), ("4", false), ("7", true)] {
            let settings = [("autocommit", "ON"), ("wsrep_on", "ON"), ("wsrep_sync_wait", kinds)];
            assert_eq!(is_safe(&settings), safe, "{kinds}");
            assert!(is_safe(&[("autocommit", "ON"), ("wsrep_on", "OFF"), ("wsrep_sync_wait", kinds)]), "{kinds}");
        }
        assert!(!is_safe(&[("autocommit", "ON"), ("wsrep_on", "ON")]));
    }
}
