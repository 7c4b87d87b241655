//! The table: each way to break an adapter, and the case that notices.

macro_rules! faults {
    ($($fault:ident => $case:ident,)*) => {
        /// The fault of an adapter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            Nothing,
            $($fault,)*
        }

        pub(crate) const TABLE: &[(Fault, &str)] = &[$((Fault::$fault, stringify!($case)),)*];
    };
}

faults! {
    SendsNoCookies => a_session_goes_from_request_to_request,
    KeepsTheExchangeOfTheConnection => two_requests_of_one_connection_are_kept_apart,
    EatsTheBody => the_body_of_a_request_reaches_the_handler,
    KeepsTheExchangeOfTheThread => requests_that_wait_for_their_bodies_are_kept_apart,
    LoadsAlways => a_request_that_never_asks_costs_no_call_to_the_store,
    ReloadsBeforeTheCommit => a_read_costs_one_call_and_a_change_two,
    CountsTheDevices => a_first_value_costs_one_call_and_a_login_over_it_three,
    RefusesForgedTokens => a_forged_token_is_ignored_and_replaced,
    ReadsTheFirstCookieOfAName => of_several_cookies_of_the_name_the_genuine_one_counts,
    ReadsTheLastCookieOfAName => of_several_cookies_of_the_name_the_genuine_one_counts,
    ReadsTheFirstCookieLine => cookies_in_several_lines_are_all_read,
    ReadsTheLastCookieLine => cookies_in_several_lines_are_all_read,
    DropsCookieLinesThatAreNoText => a_cookie_that_is_no_text_hides_no_other,
    ForgetsTheMethod => a_form_of_another_site_gets_no_new_session,
    ForgetsTheOrigin => a_form_of_another_site_gets_no_new_session,
    ForgetsTheFetchMetadata => a_form_of_another_site_gets_no_new_session,
    ForgetsTheFetchMode => a_link_of_another_site_gets_no_new_session_under_a_strict_cookie,

    KeepsTheTokenOfBefore => a_login_changes_the_token_and_the_old_one_opens_nothing,
    RemovesNoCookies => a_logout_removes_the_cookie,
    ClearsNothing => a_logout_tells_browsers_what_to_clear,
    StripsPath => the_cookie_has_the_attributes_that_the_site_has_chosen,
    StripsHttpOnly => the_cookie_has_the_attributes_that_the_site_has_chosen,
    StripsSameSite => the_cookie_has_the_attributes_that_the_site_has_chosen,
    StripsSecure => the_cookie_has_the_attributes_that_the_site_has_chosen,
    SendsNoAttributesButPath => the_cookie_has_the_attributes_that_the_site_has_chosen,

    ForgetsThePeer => a_login_is_told_with_the_address_of_its_client,
    ForgetsXForwardedFor => a_login_is_told_with_the_address_that_a_trusted_proxy_names,
    ForgetsForwarded => a_login_is_told_with_the_address_that_a_trusted_proxy_names,
    TellsTheFirstLineOfAHeader => of_several_lines_of_a_header_none_is_left_out,
    TellsTheLastLineOfAHeader => of_several_lines_of_a_header_none_is_left_out,
    ForgetsXForwardedProto => a_trusted_proxy_says_whether_its_client_speaks_https,
    BelievesAnyXRealIp => a_proxy_that_is_not_trusted_changes_nothing,
    BelievesAnyXForwardedFor => a_proxy_that_is_not_trusted_changes_nothing,
    BelievesAnyXForwardedProto => a_proxy_that_is_not_trusted_changes_nothing,
    BelievesAnyXForwardedHost => a_proxy_that_is_not_trusted_changes_nothing,
    BelievesAnyForwarded => a_proxy_that_is_not_trusted_changes_nothing,
    TellsTheRootForThePath => an_event_has_the_method_and_the_path_of_its_request,
    TellsThePathWithItsQuery => an_event_has_the_method_and_the_path_of_its_request,
    TellsGetForTheMethod => an_event_has_the_method_and_the_path_of_its_request,

    CommitsAfterTheBody => the_session_is_saved_before_the_head_leaves_whatever_the_status,
    CommitsSuccessesOnly => the_session_is_saved_before_the_head_leaves_whatever_the_status,
    LeavesOut304 => the_session_is_saved_before_the_head_leaves_whatever_the_status,
    GivesUpASlowCommit => no_head_leaves_before_a_slow_save_has_ended,
    CommitsGetAndPostOnly => changes_are_committed_whatever_the_method,
    LeavesOutOptions => changes_are_committed_whatever_the_method,
    SendsCookiesWithGetAndPostOnly => changes_are_committed_whatever_the_method,
    LeavesOut204 => a_204_sends_cookies_as_any_other_status_does,
    SendsNoHeadersWithA204 => a_204_sends_cookies_as_any_other_status_does,
    SendsNoHeadersWithThe204OfALogout => a_204_sends_cookies_as_any_other_status_does,
    ReplacesTheCookiesOfOthers => the_handler_s_cookies_and_vary_stand_beside_those_of_the_session,
    JoinsCookieLines => the_handler_s_cookies_and_vary_stand_beside_those_of_the_session,
    KeepsTheLastVaryOfOthers => the_handler_s_cookies_and_vary_stand_beside_those_of_the_session,
    IgnoresAFailedSave => a_failed_save_is_told_whatever_the_status_was,
    TellsAFailedSaveOfSuccessesOnly => a_failed_save_is_told_whatever_the_status_was,
    AnswersALostSessionWith409 => a_session_that_was_ended_leaves_the_response_as_it_is,
    CommitsNoFailures => a_handler_s_error_is_committed,
    CommitsAfterTheStream => a_stream_saves_after_the_head_has_left,
    LeavesOutHead => a_head_request_has_the_headers_of_its_get,

    SendsTheBodyOfAFailedSave => a_failed_save_is_an_empty_answer_with_the_status_of_the_error,
    KeepsTheHeadersOfAFailedSave => a_failed_save_is_an_empty_answer_with_the_status_of_the_error,
    AnswersAFailedSaveWith500 => a_failed_save_is_an_empty_answer_with_the_status_of_the_error,
    ForgetsRetryAfter => a_failed_save_is_an_empty_answer_with_the_status_of_the_error,
    DropsTheCookiesOfOthers => a_failed_save_leaves_the_cookies_and_vary_of_others,
    DropsTheVaryOfOthers => a_failed_save_leaves_the_cookies_and_vary_of_others,
    SaysNothingWithAFailedSave => a_login_leaves_its_cookie_though_a_later_save_fails,
    SaysNothingWithAFailedSaveAfterALogout => a_logout_leaves_its_removal_though_a_later_save_fails,
    TakesAnOutageForAnEmptySession => a_store_that_cannot_be_read_is_an_error_and_no_empty_session,

    ForgetsTheTokenHeader => a_header_client_logs_in_and_out_beside_a_browser,
    PrefersTheCookie => a_wrong_token_beside_a_good_cookie_opens_nothing,
    ReadsTheFirstTokenLine => of_several_lines_of_the_header_the_one_token_counts,
    ReadsTheLastTokenLine => of_several_lines_of_the_header_the_one_token_counts,
    DropsTokenLinesThatAreNoText => a_line_of_the_header_that_is_no_text_is_another_token,
    SaysNothingToAHeaderClientWithAFailedSave => a_login_leaves_its_token_though_a_later_save_fails,

    CommitsPanics => a_panic_commits_nothing,
    SaysNothingWithAPanic => an_answered_panic_has_the_cookie_of_its_login_and_is_private,
    CommitsInTwoWrites => a_request_that_is_dropped_while_it_saves_saves_all_or_nothing,
    CommitsWhatIsDropped => a_request_that_is_dropped_saves_all_or_nothing,

    LeavesCachesUntold => a_page_is_as_private_as_the_session_that_it_has_read,
    VariesWithNothing => a_page_is_as_private_as_the_session_that_it_has_read,
    SpeaksOverTheHandler => the_handler_s_word_to_caches_stands_but_beside_a_cookie,
    LeavesTheHandlersWordBesideACookie => the_handler_s_word_to_caches_stands_but_beside_a_cookie,
    HearsTheMiddlewareInside => of_two_sessions_the_more_private_one_tells_caches,

    NestedOpensItsOwn => a_middleware_inside_another_opens_nothing_of_its_own,
    NestedKeepsThePolicyOutside => a_middleware_inside_another_opens_nothing_of_its_own,
    NestedCommitsToo => a_middleware_inside_another_commits_nothing,
    GivesTheFirstForTheSecond => two_sessions_go_side_by_side,
    LosesTheCookieInside => the_login_of_one_session_outlives_the_failed_save_of_the_other,
    EndsAtTheFirstFailedCommit => a_login_outside_outlives_the_failed_save_of_the_session_inside,
    CommitsOutsideFirst => a_login_outside_outlives_the_failed_save_of_the_session_inside,
    ForgetsTheMarkers => two_markers_of_one_cookie_let_no_request_in,
    HandlesWhatALayerRefuses => two_markers_of_one_cookie_let_no_request_in,
    AnswersARefusalOfALayerWith200 => two_markers_of_one_cookie_let_no_request_in,
    LeavesOut101 => an_upgraded_connection_keeps_its_session,
    UpgradesThoughTheSaveFailed => a_failed_save_upgrades_no_connection,
}
