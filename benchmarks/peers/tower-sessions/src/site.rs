use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};

pub(crate) fn site(store: impl SessionStore + Clone) -> Router {
    let layer = SessionManagerLayer::new(store)
        .with_expiry(Expiry::OnInactivity(time::Duration::hours(1)))
        .with_signed(Key::from(&[7; 64]));
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/inc", post(inc))
        .route("/fill/{bytes}/{keys}", post(fill))
        .route("/login/{user}", post(login))
        .layer(layer)
}

type Answer = Result<String, (StatusCode, String)>;

fn failed(error: Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn read(session: Session) -> Answer {
    let value = session.get::<String>("k0").await.map_err(failed)?;
    Ok(value.map_or(0, |value| value.len()).to_string())
}

async fn count(session: Session) -> Answer {
    let count = session.get::<u64>("n").await.map_err(failed)?;
    Ok(count.unwrap_or_default().to_string())
}

async fn inc(session: Session) -> Answer {
    let next = session.get::<u64>("n").await.map_err(failed)?.unwrap_or_default() + 1;
    session.insert("n", next).await.map_err(failed)?;
    Ok(next.to_string())
}

async fn fill(session: Session, Path((bytes, keys)): Path<(usize, usize)>) -> Answer {
    for key in 0..keys {
        session.insert(&format!("k{key}"), "x".repeat(bytes)).await.map_err(failed)?;
    }
    session.insert("n", 0u64).await.map_err(failed)?;
    Ok("ok".into())
}

async fn login(session: Session, Path(user): Path<u64>) -> Answer {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", user).await.map_err(failed)?;
    session.insert("k0", "x".repeat(200)).await.map_err(failed)?;
    session.insert("n", 0u64).await.map_err(failed)?;
    Ok("ok".into())
}
