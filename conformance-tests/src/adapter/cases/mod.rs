//! The cases, one module for each theme.

pub(crate) mod asking;
pub(crate) mod beside;
pub(crate) mod caches;
pub(crate) mod commit;
pub(crate) mod ending;
pub(crate) mod failure;
pub(crate) mod header_clients;
pub(crate) mod login;
pub(crate) mod told;

/// Hands the list of all cases to another macro. It is the only list: a case that is not in it is dead code, which the
/// compiler reports. The capability that an adapter needs for a case is in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! each_adapter_case {
    ({ $($call:tt)+ } $argument:tt) => {
        $($call)+! {
            $argument
            asking:
                a_session_goes_from_request_to_request
                two_requests_of_one_connection_are_kept_apart
                the_body_of_a_request_reaches_the_handler
                requests_that_wait_for_their_bodies_are_kept_apart
                a_request_that_never_asks_costs_no_call_to_the_store
                a_read_costs_one_call_and_a_change_two
                a_first_value_costs_one_call_and_a_login_over_it_three
                a_forged_token_is_ignored_and_replaced
                of_several_cookies_of_the_name_the_genuine_one_counts
                cookies_in_several_lines_are_all_read
                a_cookie_that_is_no_text_hides_no_other (NonTextHeaders)
                a_form_of_another_site_gets_no_new_session
                a_link_of_another_site_gets_no_new_session_under_a_strict_cookie;
            login:
                a_login_changes_the_token_and_the_old_one_opens_nothing
                a_logout_removes_the_cookie
                a_logout_tells_browsers_what_to_clear
                the_cookie_has_the_attributes_that_the_site_has_chosen;
            told:
                a_login_is_told_with_the_address_of_its_client
                a_login_is_told_with_the_address_that_a_trusted_proxy_names
                of_several_lines_of_a_header_none_is_left_out
                a_trusted_proxy_says_whether_its_client_speaks_https
                a_proxy_that_is_not_trusted_changes_nothing
                an_event_has_the_method_and_the_path_of_its_request;
            commit:
                the_session_is_saved_before_the_head_leaves_whatever_the_status
                no_head_leaves_before_a_slow_save_has_ended
                changes_are_committed_whatever_the_method
                a_204_sends_cookies_as_any_other_status_does
                the_handler_s_cookies_and_vary_stand_beside_those_of_the_session
                a_failed_save_is_told_whatever_the_status_was
                a_session_that_was_ended_leaves_the_response_as_it_is
                a_handler_s_error_is_committed
                a_stream_saves_after_the_head_has_left
                a_head_request_has_the_headers_of_its_get;
            failure:
                a_failed_save_is_an_empty_answer_with_the_status_of_the_error
                a_failed_save_leaves_the_cookies_and_vary_of_others
                a_login_leaves_its_cookie_though_a_later_save_fails
                a_logout_leaves_its_removal_though_a_later_save_fails
                a_store_that_cannot_be_read_is_an_error_and_no_empty_session;
            ending:
                a_panic_commits_nothing
                an_answered_panic_has_the_cookie_of_its_login_and_is_private
                a_request_that_is_dropped_saves_all_or_nothing
                a_request_that_is_dropped_while_it_saves_saves_all_or_nothing;
            header_clients:
                a_header_client_logs_in_and_out_beside_a_browser
                a_wrong_token_beside_a_good_cookie_opens_nothing
                of_several_lines_of_the_header_the_one_token_counts
                a_line_of_the_header_that_is_no_text_is_another_token (NonTextHeaders)
                a_login_leaves_its_token_though_a_later_save_fails;
            caches:
                a_page_is_as_private_as_the_session_that_it_has_read
                the_handler_s_word_to_caches_stands_but_beside_a_cookie
                of_two_sessions_the_more_private_one_tells_caches (SecondSession);
            beside:
                a_middleware_inside_another_opens_nothing_of_its_own (NestedMiddleware)
                a_middleware_inside_another_commits_nothing (NestedMiddleware)
                two_sessions_go_side_by_side (SecondSession)
                the_login_of_one_session_outlives_the_failed_save_of_the_other (SecondSession)
                a_login_outside_outlives_the_failed_save_of_the_session_inside (SecondSession)
                two_markers_of_one_cookie_let_no_request_in (SecondSession)
                an_upgraded_connection_keeps_its_session (Upgrade)
                a_failed_save_upgrades_no_connection (Upgrade);
        }
    };
}
