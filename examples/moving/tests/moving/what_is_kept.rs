//! What of a login and its session goes over.

use axum::http::StatusCode;
use moving::{Old, in_a_month, site};
use redis::AsyncCommands;
use session_conformance::servers;
use session_redis::RedisStore;
use session_tower::SessionManager;

use super::old_site::{Answer, OldSite, ask};

const OK: StatusCode = StatusCode::OK;

impl Answer {
    /// For how many days the browser keeps our cookie.
    fn days(&self) -> Option<u64> {
        let ours = self.set_cookies.iter().find(|line| line.starts_with(self.session().unwrap())).unwrap();
        let age = ours.split("; ").find_map(|attribute| attribute.strip_prefix("Max-Age="));
        age.map(|seconds| seconds.parse::<u64>().unwrap().div_ceil(24 * 60 * 60))
    }
}

#[tokio::test]
async fn a_login_keeps_the_lifetime_that_it_had() {
    let old = OldSite::express();
    let site = site(old.moving(in_a_month()).await);
    for (path, days) in [("/login/42?remember", Some(90)), ("/login/42", None)] {
        let cookie = old.login_at(path, "42").await;
        let answer = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((answer.status, answer.days()), (OK, days), "{path}: {:?}", answer.set_cookies);
    }

    let old = OldSite::tower().await;
    for (remembered, days) in [(true, Some(90)), (false, None)] {
        let cookie = old.login().await;
        let mut moving = old.moving(in_a_month()).await;
        moving.old = Old::TowerSessions { remembered };
        let answer = ask(&moving::site(moving), "GET", "/account", &cookie).await;
        assert_eq!((answer.status, answer.days()), (OK, days), "{:?}", answer.set_cookies);
    }
}

#[tokio::test]
async fn a_user_that_is_a_number_stays_logged_in() {
    let old = OldSite::express();
    let cookie = old.login_at("/login/42?number", "42").await;
    let moving = old.moving(in_a_month()).await;
    let answer = ask(&site(moving.clone()), "GET", "/account", &cookie).await;
    assert_eq!((answer.status, answer.body.as_str()), (OK, "the account of 42, 3 unread"));
    assert_eq!(moving.manager.session_count(&42_u64.into()).await.unwrap(), 1);
}

#[tokio::test]
async fn values_that_are_named_go_over() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let site = site(old.moving(in_a_month()).await);
        let first = ask(&site, "GET", "/account", &cookie).await;
        let next = ask(&site, "GET", "/account", first.session().unwrap()).await;
        assert_eq!(next.body, "the account of 42, 3 unread");
    }
}

#[tokio::test]
async fn each_secret_of_the_old_site_counts() {
    let old = OldSite::express();
    let Old::Express { secrets } = &old.old else { panic!("another site") };
    for (others, status) in [(secrets.clone(), OK), (vec![], StatusCode::UNAUTHORIZED)] {
        let mut moving = old.moving(in_a_month()).await;
        moving.old = Old::Express { secrets: [vec![b"newer".to_vec()], others].concat() };
        assert_eq!(ask(&site(moving), "GET", "/account", &old.login().await).await.status, status);
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_read_stays_for_a_program_that_can() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let mut redis = moving.redis.clone();
        let [key]: [String; 1] = redis.keys::<_, Vec<String>>("*").await.unwrap().try_into().unwrap();
        let stored: Vec<u8> = redis.get(&key).await.unwrap();
        for unreadable in [&b"\xc1"[..], br#"{"user":["42"]}"#] {
            let _: () = redis.set(&key, unreadable).await.unwrap();
            let answer = ask(&site, "GET", "/account", &cookie).await;
            assert_eq!((answer.status, answer.set_cookies), (StatusCode::UNAUTHORIZED, vec![]));
            assert_eq!(redis.get::<_, Vec<u8>>(&key).await.unwrap(), unreadable);
        }
        let _: () = redis.set(&key, stored).await.unwrap();
        assert_eq!(ask(&site, "GET", "/account", &cookie).await.status, OK);
    }
}

#[tokio::test]
async fn an_outage_of_the_new_store_loses_nobody() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let works = old.moving(in_a_month()).await;
        let mut fails = works.clone();
        fails.manager = {
            let gone = servers::own_redis(&[]);
            SessionManager::development(RedisStore::connect(gone.url()).await.unwrap())
        };
        let answer = ask(&site(fails), "GET", "/account", &cookie).await;
        assert_eq!((answer.status, answer.set_cookies), (StatusCode::SERVICE_UNAVAILABLE, vec![]));
        assert_eq!(ask(&site(works), "GET", "/account", &cookie).await.status, OK);
    }
}
