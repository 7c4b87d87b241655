//! The user as whom the demo logs in to a database whose URL names none.

use std::{
    io::Read,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

/// A program that is ended when the test ends, even if that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The user in the first message to a server of PostgreSQL (protocol 3.0, `StartupMessage`).
fn user_of(pguser: Option<&str>) -> String {
    let (listener, folder) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::TempDir::new().unwrap());
    let store = format!("postgres://{}/shop?sslmode=disable", listener.local_addr().unwrap());
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(["--addr", "127.0.0.1:0", "--store", &store]).current_dir(folder.path()).env_remove("PGUSER");
    demo.envs(pguser.map(|user| ("PGUSER", user))).stdout(Stdio::null()).stderr(Stdio::null());
    let _demo = Ended(demo.spawn().unwrap());
    let (mut connection, _) = listener.accept().unwrap();
    let mut head = [0; 8];
    connection.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes(head[..4].try_into().unwrap());
    let mut fields = vec![0; usize::try_from(length).unwrap() - head.len()];
    connection.read_exact(&mut fields).unwrap();
    let fields: Vec<_> = fields.split(|&byte| byte == 0).collect();
    let user = fields.chunks(2).find(|field| field[0] == b"user").unwrap()[1];
    String::from_utf8(user.to_vec()).unwrap()
}

#[test]
fn a_url_without_a_user_logs_in_as_libpq_does() {
    let name = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    assert_eq!(user_of(None), name.trim());
    assert_eq!(user_of(Some("user42")), "user42");
}
