use k256::ecdsa::SigningKey;
use receipt::merkle::keccak256;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Client, bearer, with_config, with_server};

const ANNA: &str = "/api/v1/communities/demo/members/anna";
const KEY: [u8; 32] = [7; 32];

fn key(seed: [u8; 32]) -> SigningKey {
    SigningKey::from_slice(&seed).unwrap()
}

fn address(key: &SigningKey) -> String {
    let point = key.verifying_key().to_encoded_point(false);
    format!("0x{}", hex::encode(&keccak256(&[&point.as_bytes()[1..]])[12..]))
}

/// Signs as a wallet does (EIP-191).
fn sign(key: &SigningKey, message: &str) -> String {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    let digest = keccak256(&[prefix.as_bytes(), message.as_bytes()]);
    let (signature, recovery) = key.sign_prehash_recoverable(&digest).unwrap();
    format!("0x{}{:02x}", hex::encode(signature.to_bytes()), recovery.to_byte() + 27)
}

async fn token(client: &Client, member: &str) -> String {
    let answer = client.post(&format!("/api/v1/communities/demo/members/{member}/tokens"), "").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    format!("Authorization: Bearer {}", answer.json()["token"].as_str().unwrap())
}

async fn post(client: &Client, token: &str, path: &str, id: &str, body: &Value) -> Answer {
    let id = format!("Idempotency-Key: {id}");
    client.send("POST", path, &[token, "Content-Type: application/json", &id], &body.to_string()).await
}

/// A message for an address, signed by `signer`.
async fn signed(client: &Client, token: &str, address: &str, signer: &SigningKey) -> Value {
    let asked =
        post(client, token, &format!("{ANNA}/link/challenge"), "x", &json!({"address": address})).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    let message = asked.json()["message"].as_str().unwrap().to_owned();
    json!({"message": message, "signature": sign(signer, &message)})
}

fn is_problem(answer: &Answer, status: u16, kind: &str, words: &str) {
    let said = answer.json();
    assert_eq!((answer.status, &said["type"]), (status, &json!(format!("/problems/{kind}"))), "{said}");
    assert!(said["detail"].as_str().unwrap().contains(words), "{said}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_member_links_an_address_by_signing_for_it(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let (anna, key) = (token(&client, "anna").await, key(KEY));
        let now = client.send("GET", &format!("{ANNA}/link"), &[&anna], "").await.json();
        assert_eq!((&now["kind"], &now["pending"]), (&json!("custodial"), &Value::Null), "{now}");
        let body = signed(&client, &anna, &address(&key), &key).await;
        let message = body["message"].as_str().unwrap();
        assert!(
            message.starts_with("localhost wants you to sign in with your Ethereum account:\n0x"),
            "{message}"
        );
        assert!(
            message.contains("\nURI: http://localhost\nVersion: 1\nChain ID: 31337\nNonce: "),
            "{message}"
        );
        // A key may be quoted, as the draft of its header has it: it is the same key.
        for sent in ["link-1", "\"link-1\""] {
            let answer = post(&client, &anna, &format!("{ANNA}/link"), sent, &body).await;
            assert_eq!(answer.status, 202, "{}", answer.body);
            assert_eq!(answer.json()["pending"]["address"], address(&key));
            assert_eq!(answer.json()["pending"]["status"], "requested");
        }
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM links").fetch_one(&pool).await.unwrap();
        assert_eq!(stored, 1, "the same request again changes nothing");
        // The nonce is used; the key of the request names one link for ever; one link at a time.
        let other = key_of(8);
        let again = post(&client, &anna, &format!("{ANNA}/link"), "link-2", &body).await;
        is_problem(&again, 409, "link-pending", "wait");
        let body = signed(&client, &anna, &address(&other), &other).await;
        let reused = post(&client, &anna, &format!("{ANNA}/link"), "link-1", &body).await;
        is_problem(&reused, 409, "idempotency-key-reused", "another link");
    })
    .await;
}

fn key_of(seed: u8) -> SigningKey {
    key([seed; 32])
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_was_not_signed_for_this_is_refused_and_changes_nothing(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let (anna, key, other) = (token(&client, "anna").await, key(KEY), key_of(8));
        let path = format!("{ANNA}/link");
        let given = signed(&client, &anna, &address(&key), &key).await;
        let message = given["message"].as_str().unwrap();
        for (from, to, words) in [
            ("localhost wants", "evil.example wants", "the message is for evil.example"),
            ("URI: http://localhost", "URI: http://localhost:81", "this is http://localhost"),
            ("Chain ID: 31337", "Chain ID: 1", "chain 1"),
            ("Version: 1", "Version: 2", "version"),
            ("Link this address", "Give this address", "never given to this member"),
            ("Nonce: ", "Nonce: 0", "never given to this member"),
            ("account anna", "account ben", "never given to this member"),
        ] {
            let changed = message.replacen(from, to, 1);
            assert_ne!(changed, message);
            let body = json!({"message": changed, "signature": sign(&key, &changed)});
            is_problem(&post(&client, &anna, &path, "a", &body).await, 400, "invalid-link", words);
            // With the signature of the message as it was given, whoever is recovered is not the address.
            let body = json!({"message": changed, "signature": given["signature"]});
            assert_eq!(post(&client, &anna, &path, "a", &body).await.status, 400, "{from}");
        }
        let mut altered = given["signature"].as_str().unwrap().to_owned();
        altered.replace_range(10..11, if &altered[10..11] == "0" { "1" } else { "0" });
        for (signature, words) in [
            (altered.as_str(), ""),
            (sign(&other, message).as_str(), "it must be that of 0x"),
            ("0x00", "130 hex digits"),
            // As a wallet that is a contract answers: the signatures of two owners, or one that is an owner's.
            (format!("{}{}", sign(&key, message), &sign(&other, message)[2..]).as_str(), "EIP-1271"),
            (sign(&other, message).as_str(), "such as a Safe (EIP-1271), it cannot be linked"),
        ] {
            let body = json!({"message": message, "signature": signature});
            is_problem(&post(&client, &anna, &path, "a", &body).await, 400, "invalid-link", words);
        }
        // Expired: the row says so too.
        let late = message.replacen("Expiration Time: 2026", "Expiration Time: 2025", 1);
        assert_ne!(late, message);
        let body = json!({"message": late, "signature": sign(&key, &late)});
        is_problem(&post(&client, &anna, &path, "a", &body).await, 400, "invalid-link", "expired");
        sqlx::query("UPDATE link_challenges SET expires_at = '2020-01-01Z'").execute(&pool).await.unwrap();
        is_problem(&post(&client, &anna, &path, "a", &given).await, 400, "invalid-link", "has expired");
        let none: i64 =
            sqlx::query_scalar("SELECT (SELECT count(*) FROM links) + (SELECT count(*) FROM account_moves)")
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(none, 0);
        // A nonce is used once, also after its link is done.
        let given = signed(&client, &anna, &address(&key), &key).await;
        assert_eq!(post(&client, &anna, &path, "b", &given).await.status, 202);
        sqlx::query("UPDATE account_moves SET status = 'void'").execute(&pool).await.unwrap();
        is_problem(&post(&client, &anna, &path, "c", &given).await, 400, "invalid-link", "used already");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_address_of_somebody_else_is_refused(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let (anna, key) = (token(&client, "anna").await, key(KEY));
        let path = format!("{ANNA}/link/challenge");
        for (taken, status, kind) in [
            ("0x00000000000000000000000000000000000000b1", 409, "address-in-use"),
            ("0x00000000000000000000000000000000000000a1", 409, "address-in-use"),
            ("0x5fbdb2315678afecb367f032d93f642f64180aa3", 409, "address-in-use"),
            ("0x5fbDB2315678afecb367f032d93F642f64180aa4", 400, "invalid-request"),
            ("0x12", 400, "invalid-request"),
        ] {
            is_problem(&post(&client, &anna, &path, "x", &json!({"address": taken})).await, status, kind, "");
        }
        let given = signed(&client, &anna, &address(&key), &key).await;
        let requested =
            "INSERT INTO withdrawal_events (community_id, block_number, log_index, kind, chain_address,
                 amount_nano, claimable_at, tx_hash)
             VALUES ('demo', 1, 1, 'requested', $1, 5, '2026-03-02T12:00Z', '0x' || repeat('55', 32))";
        sqlx::query(requested).bind(address(&key)).execute(&pool).await.unwrap();
        let leaving = post(&client, &anna, &format!("{ANNA}/link"), "x", &given).await;
        is_problem(&leaving, 409, "withdrawal-open", "cancel it first");
        let wish = json!({"address": address(&key)});
        is_problem(&post(&client, &anna, &path, "x", &wish).await, 409, "withdrawal-open", "cancel it first");
        sqlx::query("UPDATE accounts SET chain_address = $1 WHERE account_id = 'ben'")
            .bind(address(&key))
            .execute(&pool)
            .await
            .unwrap();
        let late = post(&client, &anna, &format!("{ANNA}/link"), "x", &given).await;
        is_problem(&late, 409, "address-in-use", "account of this community");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn only_the_member_itself_links(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let (anna, ben) = (token(&client, "anna").await, token(&client, "ben").await);
        let path = format!("{ANNA}/link");
        is_problem(&client.get(&path).await, 401, "unauthorized", "needs the header");
        is_problem(
            &client.send("GET", &path, &["Authorization: Bearer x"], "").await,
            401,
            "unauthorized",
            "no member",
        );
        is_problem(&client.send("GET", &path, &[&ben], "").await, 403, "forbidden", "another member's");
        is_problem(
            &client.send("GET", &path, &[&bearer()], "").await,
            403,
            "forbidden",
            "the server's token",
        );
        let body = json!({"address": address(&key(KEY))});
        let refused = post(&client, &bearer(), &format!("{path}/challenge"), "x", &body).await;
        is_problem(&refused, 403, "forbidden", "the member's own");
        let without = client
            .send(
                "POST",
                &path,
                &[&anna, "Content-Type: application/json"],
                "{\"message\":\"\",\"signature\":\"\"}",
            )
            .await;
        is_problem(&without, 400, "invalid-request", "Idempotency-Key");
        // A member's token does not make tokens, and ends when it is revoked.
        let tokens = format!("{ANNA}/tokens");
        assert_eq!(client.send("POST", &tokens, &[&anna], "").await.status, 401);
        assert_eq!(client.delete(&tokens).await.status, 204);
        assert_eq!(client.send("GET", &path, &[&anna], "").await.status, 401);
        assert_eq!(client.post("/api/v1/communities/demo/members/zoe/tokens", "").await.status, 404);
        let kept: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT token_hash FROM member_tokens").fetch_all(&pool).await.unwrap();
        assert_eq!(kept.len(), 1, "ben's, and only its hash");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn challenges_and_tokens_are_bounded(pool: PgPool) {
    with_server(pool.clone(), async |client| {
        let first = token(&client, "anna").await;
        sqlx::query("UPDATE member_tokens SET created_at = created_at - interval '1 s'")
            .execute(&pool)
            .await
            .unwrap();
        for _ in 0..8 {
            token(&client, "anna").await;
        }
        assert_eq!(client.send("GET", &format!("{ANNA}/link"), &[&first], "").await.status, 401);
        let (anna, key) = (token(&client, "anna").await, key(KEY));
        let oldest = signed(&client, &anna, &address(&key), &key).await;
        sqlx::query("UPDATE link_challenges SET expires_at = expires_at - interval '1 s'")
            .execute(&pool)
            .await
            .unwrap();
        for _ in 0..8 {
            signed(&client, &anna, &address(&key), &key).await;
        }
        let kept: i64 =
            sqlx::query_scalar("SELECT count(*) FROM link_challenges").fetch_one(&pool).await.unwrap();
        assert_eq!(kept, 8);
        let gone = post(&client, &anna, &format!("{ANNA}/link"), "x", &oldest).await;
        is_problem(&gone, 400, "invalid-link", "never given");
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn behind_a_proxy_the_message_names_what_members_see(pool: PgPool) {
    let config =
        web::WebConfig { public_origin: Some("https://energy.example".into()), ..Default::default() };
    with_config(pool, config, async |client| {
        let (anna, key) = (token(&client, "anna").await, key(KEY));
        let given = signed(&client, &anna, &address(&key), &key).await;
        let message = given["message"].as_str().unwrap();
        assert!(
            message.starts_with("energy.example wants") && message.contains("URI: https://energy.example\n")
        );
        assert_eq!(post(&client, &anna, &format!("{ANNA}/link"), "x", &given).await.status, 202);
    })
    .await;
    for wrong in ["energy.example", "https://energy.example/x", "https://", "ftp://a"] {
        let config = web::WebConfig { public_origin: Some(wrong.into()), ..Default::default() };
        assert!(config.validate().is_err(), "{wrong}");
    }
}
