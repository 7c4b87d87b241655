//! The cases, one module for each part of the contract.

pub(crate) mod cancel;
pub(crate) mod conflict;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod failing;
pub(crate) mod linear;
pub(crate) mod outcome;
pub(crate) mod owner;
pub(crate) mod payload;
pub(crate) mod process;
pub(crate) mod promise;
pub(crate) mod purge;
pub(crate) mod race;
pub(crate) mod removal;
pub(crate) mod replace;
pub(crate) mod shared;
pub(crate) mod time;
pub(crate) mod touch;

/// Hands the list of all cases to another macro. It is the only list: a case that is not in it is dead code, which the
/// compiler reports.
#[doc(hidden)]
#[macro_export]
macro_rules! each_case {
    ({ $($call:tt)+ } $argument:tt) => {
        $($call)+! {
            $argument
            create:
                a_created_session_loads_as_it_was_written;
            time:
                a_session_is_live_until_its_expiry_exactly;
            owner:
                list_shows_every_live_session_of_the_owner_and_no_other;
            create:
                only_create_makes_a_session_appear
                create_over_a_live_session_is_already_exists
                a_refused_create_leaves_the_live_session_untouched
                create_succeeds_over_an_expired_session
                create_succeeds_after_a_delete_and_a_revocation
                a_session_that_is_made_again_has_nothing_of_the_one_before_it
                create_then_load_makes_the_session_and_loads_the_other
                create_then_load_of_one_id_loads_what_it_made
                create_then_load_finds_no_session_that_is_not_live
                create_then_load_over_a_live_session_is_already_exists
                of_40_concurrent_creates_exactly_one_wins
                of_40_concurrent_creates_over_an_expired_session_exactly_one_wins;
            replace:
                replace_writes_the_payload_and_the_revision
                replace_under_another_revision_does_nothing
                of_40_concurrent_replaces_exactly_one_wins
                a_replace_that_is_delivered_twice_applies_once
                replace_never_revives_a_deleted_session
                replace_never_revives_a_revoked_session
                replace_never_revives_an_expired_session
                replace_with_keep_leaves_expiry_and_end_alone
                replace_with_keep_leaves_an_expiry_alone_that_a_touch_has_moved
                replace_with_extend_moves_the_expiry
                replace_with_extend_never_passes_the_end
                replace_with_keep_or_extend_never_moves_the_end
                replace_with_restart_moves_expiry_and_end;
            touch:
                touch_sets_the_time_left_that_it_was_given
                touch_keeps_payload_owner_and_revision
                touch_never_moves_the_expiry_past_the_end
                touch_never_moves_the_end
                touch_under_another_revision_does_nothing
                touch_never_revives_a_deleted_session
                touch_never_revives_an_expired_session;
            delete:
                a_deleted_session_is_neither_loaded_nor_listed
                delete_under_another_revision_does_nothing
                delete_of_an_expired_session_says_so
                of_40_concurrent_deletes_exactly_one_wins;
            owner:
                list_and_revoke_find_an_id_at_each_end_of_an_order
                list_shows_what_load_shows
                list_never_shows_an_expired_session
                list_measures_all_sessions_at_one_instant
                revoke_keeps_exactly_the_session_that_it_was_told_to
                revoke_without_one_to_keep_deletes_them_all_and_no_others
                revoke_counts_live_sessions_only
                only_restart_changes_the_owner
                restart_moves_the_session_between_the_owners_lists
                revoke_judges_the_owner_that_the_session_has_then
                owners_that_differ_in_one_byte_differ
                an_owner_of_a_thousand_sessions_is_listed_and_revoked_whole;
            time:
                a_session_that_was_touched_expires_when_the_touch_said
                a_session_never_outlives_its_end
                the_expiry_is_never_past_the_end
                the_longest_durations_are_kept_or_capped
                no_time_left_ends_the_session_at_once
                a_duration_below_a_millisecond_is_no_error;
            removal:
                a_session_is_there_in_the_last_second_of_its_time
                nothing_is_removed_before_the_expiry_that_a_write_has_moved
                what_has_ended_is_not_there_again_once_the_server_removes_things
                a_session_of_months_is_there_and_ends_with_its_owner;
            payload:
                payloads_of_any_size_come_back
                an_empty_payload_is_a_session
                payloads_of_any_bytes_come_back
                a_refused_write_leaves_a_large_payload_alone
                a_load_beside_writes_of_large_payloads_gets_one_of_them_whole
                any_revision_comes_back
                ids_that_differ_in_one_bit_differ
                ids_that_differ_in_letter_case_differ
                two_namespaces_never_meet;
            purge:
                purge_deletes_no_live_session
                purge_spares_a_session_until_its_expiry
                purge_spares_a_session_whose_expiry_was_moved
                purge_deletes_at_most_its_limit
                purge_goes_on_until_none_is_left
                purgers_beside_one_another_count_each_session_once
                purge_never_takes_a_session_that_was_created_while_it_ran;
            race:
                nothing_revives_when_delete_races_replace_touch_and_list
                nothing_revives_when_revoke_races_replace_touch_and_list
                a_revoke_that_races_a_login_takes_the_session_or_leaves_it
                a_login_sees_the_write_before_a_list_that_misses_it
                a_late_touch_never_moves_the_expiry_of_the_login_that_overtook_it
                a_replace_with_keep_never_undoes_the_touch_that_it_races
                a_read_of_an_expired_session_never_takes_the_one_in_its_place
                a_session_that_is_made_again_while_it_is_deleted_is_listed
                list_is_exact_once_concurrent_changes_are_over
                list_misses_no_session_that_stands_and_shows_no_strangers;
            conflict:
                touches_at_the_same_moment_are_all_applied
                a_delete_or_replace_beside_many_touches_is_not_refused
                a_revoke_ends_a_session_that_is_written_without_a_pause;
            shared:
                loads_at_the_same_moment_each_get_their_own_session
                replaces_at_the_same_moment_each_get_their_own_answer
                a_load_among_many_sees_the_write_before_it;
            linear:
                a_concurrent_history_is_linearizable;
            process:
                what_one_process_writes_another_sees_at_once
                a_session_outlives_the_process_that_made_it
                processes_that_start_at_once_have_the_same_sessions
                of_writes_at_two_processes_exactly_one_wins
                nothing_revives_when_a_delete_races_another_process
                nothing_revives_when_a_revoke_races_another_process
                a_revoke_that_races_a_login_at_another_process_takes_or_leaves_it
                the_list_is_exact_after_changes_at_two_processes
                a_history_of_two_processes_is_linearizable;
            cancel:
                a_dropped_create_leaves_no_session_or_all_of_it
                a_dropped_replace_leaves_the_old_state_or_the_new
                a_dropped_touch_leaves_the_session_whole
                a_dropped_delete_or_revoke_leaves_the_session_or_none
                after_a_dropped_read_the_next_call_works
                after_a_dropped_call_of_a_large_payload_the_next_gets_its_own;
            outcome:
                a_create_whose_answer_is_lost_is_never_already_exists
                a_create_then_load_whose_answer_is_lost_is_never_already_exists
                a_replace_whose_answer_is_lost_never_says_no
                a_touch_whose_answer_is_lost_never_says_no
                a_delete_whose_answer_is_lost_never_says_no
                a_login_whose_answer_is_lost_is_in_the_list_if_it_was_done;
            failing:
                a_call_without_an_answer_ends_in_time_with_an_error
                a_full_database_refuses_writes_and_loses_no_session;
            promise:
                n_parallel_updates_of_one_key_add_n
                an_update_whose_answer_is_lost_is_applied_once
                updates_at_two_processes_are_all_kept
                changes_of_different_keys_at_once_are_all_kept
                of_many_who_take_a_value_one_gets_it
                a_save_after_the_logout_changes_nothing_and_sends_no_cookie
                a_login_ends_the_old_token_at_once
                what_ends_at_one_process_has_ended_at_another
                what_is_stored_holds_no_part_of_the_cookie
                a_token_that_is_used_after_its_successor_was_proven_ends_the_session
                revoke_all_beats_a_login_that_began_before_it
                revoke_others_keeps_exactly_the_caller
                parallel_logins_keep_the_limit_and_never_evict_all
                idle_and_absolute_timeouts_hold_together;
        }
    };
}
