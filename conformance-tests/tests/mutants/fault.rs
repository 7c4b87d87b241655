//! The table: each way to break the contract, and the case that notices.

macro_rules! faults {
    ($($fault:ident => $case:ident,)*) => {
        /// What a store does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            Nothing,
            EveryCreateFails,
            CutsAt400Days,
            $($fault,)*
        }

        pub(crate) const TABLE: &[(Fault, &str)] = &[$((Fault::$fault, stringify!($case)),)*];
    };
}

faults! {
    CreateIgnoresTheExpiry => a_created_session_loads_as_it_was_written,
    ReplaceUpserts => only_create_makes_a_session_appear,
    TouchOfNothingSaysYes => only_create_makes_a_session_appear,
    CreateOverwrites => create_over_a_live_session_is_already_exists,
    CreateOfALiveSessionSaysOk => create_over_a_live_session_is_already_exists,
    CreateAcceptsItsOwnRevisionAgain => create_over_a_live_session_is_already_exists,
    RefusedCreateMovesTheExpiry => a_refused_create_leaves_the_live_session_untouched,
    RefusedCreateChangesTheOwner => a_refused_create_leaves_the_live_session_untouched,
    CreateRefusedOverExpired => create_succeeds_over_an_expired_session,
    CreateOverExpiredKeepsTheOwner => create_succeeds_over_an_expired_session,
    DeletedIdsStayTaken => create_succeeds_after_a_delete_and_a_revocation,
    CreateChecksThenInserts => of_40_concurrent_creates_exactly_one_wins,
    CreateOverExpiredChecksThenInserts => of_40_concurrent_creates_over_an_expired_session_exactly_one_wins,

    ReplaceKeepsTheRevision => replace_writes_the_payload_and_the_revision,
    ReplaceIgnoresTheRevision => replace_under_another_revision_does_nothing,
    ReplaceChecksThenWrites => of_40_concurrent_replaces_exactly_one_wins,
    ReplaceAcceptsItsOwnRevision => a_replace_that_is_delivered_twice_applies_once,
    ReplaceRevivesDeleted => replace_never_revives_a_deleted_session,
    ReplaceRevivesRevoked => replace_never_revives_a_revoked_session,
    ReplaceRevivesExpired => replace_never_revives_an_expired_session,
    KeepExtends => replace_with_keep_leaves_expiry_and_end_alone,
    KeepRestoresTheExpiryOfTheLastWrite => replace_with_keep_leaves_an_expiry_alone_that_a_touch_has_moved,
    ExtendOnlyLengthens => replace_with_extend_moves_the_expiry,
    ExtendPastTheEnd => replace_with_extend_never_passes_the_end,
    ExtendMovesTheEnd => replace_with_keep_or_extend_never_moves_the_end,
    RestartKeepsTheEnd => replace_with_restart_moves_expiry_and_end,
    RestartCapsByTheOldEnd => replace_with_restart_moves_expiry_and_end,
    RestartPastTheEnd => replace_with_restart_moves_expiry_and_end,

    TouchOnlyLengthens => touch_sets_the_time_left_that_it_was_given,
    TouchChangesTheRevision => touch_keeps_payload_owner_and_revision,
    TouchDropsTheOwner => touch_keeps_payload_owner_and_revision,
    TouchPastTheEnd => touch_never_moves_the_expiry_past_the_end,
    TouchBeyondTheEndIsRefused => touch_never_moves_the_expiry_past_the_end,
    TouchMovesTheEnd => touch_never_moves_the_end,
    TouchIgnoresTheRevision => touch_under_another_revision_does_nothing,
    TouchRevivesDeleted => touch_never_revives_a_deleted_session,
    TouchRevivesExpired => touch_never_revives_an_expired_session,

    DeleteLeavesTheListEntry => a_deleted_session_is_neither_loaded_nor_listed,
    DeleteIgnoresTheRevision => delete_under_another_revision_does_nothing,
    DeleteCountsExpired => delete_of_an_expired_session_says_so,
    DeleteChecksThenDeletes => of_40_concurrent_deletes_exactly_one_wins,

    ListShowsStrangers => list_shows_every_live_session_of_the_owner_and_no_other,
    ListStopsAtEight => list_shows_every_live_session_of_the_owner_and_no_other,
    ListShowsNoPayload => list_shows_what_load_shows,
    ListShowsExpired => list_never_shows_an_expired_session,
    ListReadsTheClockForEachSession => list_measures_all_sessions_at_one_instant,
    RevokeTakesTheKept => revoke_keeps_exactly_the_session_that_it_was_told_to,
    RevokeKeepsWhateverIsNamed => revoke_keeps_exactly_the_session_that_it_was_told_to,
    RevokeTakesAnonymousSessions => revoke_without_one_to_keep_deletes_them_all_and_no_others,
    RevokeMatchesBeginnings => revoke_without_one_to_keep_deletes_them_all_and_no_others,
    RevokeCountsExpired => revoke_counts_live_sessions_only,
    KeepChangesTheOwner => only_restart_changes_the_owner,
    RestartKeepsTheOwner => restart_moves_the_session_between_the_owners_lists,
    RestartWithoutAnOwnerKeepsIt => restart_moves_the_session_between_the_owners_lists,
    RestartMovesTheListEntryOnly => revoke_judges_the_owner_that_the_session_has_then,
    OwnerFoldedInCase => owners_that_differ_in_one_byte_differ,
    OwnerTrimmed => owners_that_differ_in_one_byte_differ,
    OwnerIsText => owners_that_differ_in_one_byte_differ,
    OwnerCutAt254 => owners_that_differ_in_one_byte_differ,
    ListStopsAtAThousand => an_owner_of_a_thousand_sessions_is_listed_and_revoked_whole,
    RevokeStopsAtAThousand => an_owner_of_a_thousand_sessions_is_listed_and_revoked_whole,

    ExpiryReadOffByOneSecond => a_session_is_live_until_its_expiry_exactly,
    ExpiryReadASecondEarly => a_session_is_live_until_its_expiry_exactly,
    ExpiryInWholeSeconds => a_session_is_live_until_its_expiry_exactly,
    TheLongestExpiryCounts => a_session_that_was_touched_expires_when_the_touch_said,
    CreatePastTheEnd => a_session_never_outlives_its_end,
    LoadAnswersAnExpiryPastTheEnd => the_expiry_is_never_past_the_end,
    LongDurationsWrap => the_longest_durations_are_kept_or_capped,
    ZeroIsNoLimit => no_time_left_ends_the_session_at_once,
    FractionsOfAMillisecondFail => a_duration_below_a_millisecond_is_no_error,

    PayloadCutAt64KiB => payloads_of_any_size_come_back,
    EmptyPayloadIsMissing => an_empty_payload_is_a_session,
    PayloadIsText => payloads_of_any_bytes_come_back,
    PayloadEndsAtZero => payloads_of_any_bytes_come_back,
    ReplacedPayloadIsText => payloads_of_any_bytes_come_back,
    RevisionLosesItsSign => any_revision_comes_back,
    IdLosesABit => ids_that_differ_in_one_bit_differ,
    IdFoldedInCase => ids_that_differ_in_letter_case_differ,
    NamespacesMeet => two_namespaces_never_meet,

    PurgeTakesLive => purge_deletes_no_live_session,
    PurgeGoesByTheFirstExpiry => purge_spares_a_session_whose_expiry_was_moved,
    PurgeIgnoresTheLimit => purge_deletes_at_most_its_limit,
    PurgeTakesTheLimitForSigned => purge_deletes_at_most_its_limit,
    PurgeCountsWhatItLeaves => purge_goes_on_until_none_is_left,
    PurgeCountsWhatOthersTook => purgers_beside_one_another_count_each_session_once,
    PurgeSelectsThenDeletes => purge_never_takes_a_session_that_was_created_while_it_ran,

    TouchPutsTheRowBack => nothing_revives_when_delete_races_replace_touch_and_list,
    RevokeMissesWhatIsReplacedWhileItRuns => nothing_revives_when_revoke_races_replace_touch_and_list,
    RevokeSelectsThenDeletes => a_revoke_that_races_a_login_takes_the_session_or_leaves_it,
    TouchChecksThenWrites => a_late_touch_never_moves_the_expiry_of_the_login_that_overtook_it,
    DeleteTakesTheListEntryLater => a_session_that_is_made_again_while_it_is_deleted_is_listed,
    TheIndexLosesUpdates => list_is_exact_once_concurrent_changes_are_over,
    ListReadsTheRowsLater => list_misses_no_session_that_stands_and_shows_no_strangers,
    ListReadsByOffset => list_misses_no_session_that_stands_and_shows_no_strangers,
    LoadsAreMixedUp => loads_at_the_same_moment_each_get_their_own_session,
    ADroppedLoadTakesTheOthersAlong => loads_at_the_same_moment_each_get_their_own_session,
    OneConflictFailsAll => replaces_at_the_same_moment_each_get_their_own_answer,
    LoadJoinsOneThatWasSent => a_load_among_many_sees_the_write_before_it,
    LoadReadsAReplica => a_concurrent_history_is_linearizable,

    CreateWritesTheListEntryLater => a_dropped_create_leaves_no_session_or_all_of_it,
    ReplaceWritesThePayloadLater => a_dropped_replace_leaves_the_old_state_or_the_new,
    ReplaceMovesTheListEntryLater => a_dropped_replace_leaves_the_old_state_or_the_new,
    TouchTakesTheRowOut => a_dropped_touch_leaves_the_session_whole,
    DeleteEmptiesTheRowFirst => a_dropped_delete_or_revoke_leaves_the_session_or_none,
    LoadLosesItsConnection => after_a_dropped_read_the_next_call_works,

    CreateIsSentAgain => a_create_whose_answer_is_lost_is_never_already_exists,
    ReplaceIsSentAgain => a_replace_whose_answer_is_lost_never_says_no,
    TouchTakesSilenceForNo => a_touch_whose_answer_is_lost_never_says_no,
    DeleteIsSentAgain => a_delete_whose_answer_is_lost_never_says_no,
}

/// What the same faults do to the promises of a session.
pub(crate) const PROMISES: &[(Fault, &str)] = &[
    (Fault::ReplaceChecksThenWrites, "n_parallel_updates_of_one_key_add_n"),
    (Fault::ReplaceIsSentAgain, "an_update_whose_answer_is_lost_is_applied_once"),
    (Fault::ReplaceChecksThenWrites, "changes_of_different_keys_at_once_are_all_kept"),
    (Fault::ReplaceChecksThenWrites, "of_many_who_take_a_value_one_gets_it"),
    (Fault::ReplaceRevivesDeleted, "a_save_after_the_logout_changes_nothing_and_sends_no_cookie"),
    (Fault::PayloadEndsAtZero, "a_login_ends_the_old_token_at_once"),
    (Fault::ListShowsNoPayload, "what_is_stored_holds_no_part_of_the_cookie"),
    (Fault::DeleteLeavesTheListEntry, "a_token_that_is_used_after_its_successor_was_proven_ends_the_session"),
    (Fault::RevokeTakesAnonymousSessions, "revoke_all_beats_a_login_that_began_before_it"),
    (Fault::RevokeTakesTheKept, "revoke_others_keeps_exactly_the_caller"),
    (Fault::DeleteLeavesTheListEntry, "parallel_logins_keep_the_limit_and_never_evict_all"),
    (Fault::ExpiryReadOffByOneSecond, "idle_and_absolute_timeouts_hold_together"),
];
