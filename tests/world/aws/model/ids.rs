//! ARNs and identifiers shaped like the real ones; the same run makes the same ones.

use super::Settings;

/// Makes identifiers, and the ARNs around them.
pub struct Ids {
    made: u64,
    region: String,
    account: String,
}

impl Ids {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { made: 0, region: settings.region.clone(), account: settings.account.clone() }
    }

    /// A fresh identifier of a deployment: `ecs-svc/` and 19 digits.
    pub(super) fn deployment(&mut self) -> String {
        format!("ecs-svc/{}", self.digits())
    }

    pub(super) fn service_deployment(&mut self, cluster: &str, service: &str) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789";
        let (mut high, mut low) = (self.draw(), self.draw());
        let letters = (0..21).map(|place| {
            let from = if place < 10 { &mut high } else { &mut low };
            let letter = ALPHABET[usize::try_from(*from % ALPHABET.len() as u64).unwrap_or(0)];
            *from /= ALPHABET.len() as u64;
            char::from(letter)
        });
        let id: String = letters.collect();
        self.arn(&format!("service-deployment/{cluster}/{service}/{id}"))
    }

    pub(super) fn service_revision(&mut self, cluster: &str, service: &str) -> String {
        let id = self.digits();
        self.arn(&format!("service-revision/{cluster}/{service}/{id}"))
    }

    pub(super) fn task(&mut self, cluster: &str) -> String {
        let id = format!("{:016x}{:016x}", self.draw(), self.draw());
        self.arn(&format!("task/{cluster}/{id}"))
    }

    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    pub(super) fn container(&mut self, cluster: &str, task: &str) -> String {
        let id = self.uuid();
        self.arn(&format!("container/{cluster}/{}/{id}", last_part(task)))
    }

    pub(super) fn cluster(&self, name: &str) -> String {
        self.arn(&format!("cluster/{name}"))
    }

    pub(super) fn service(&self, cluster: &str, name: &str) -> String {
        self.arn(&format!("service/{cluster}/{name}"))
    }

    /// The ARN in a MISSING failure, which names no cluster.
    pub(super) fn missing(&self, kind: &str, name: &str) -> String {
        if name.starts_with("arn:") { name.into() } else { self.arn(&format!("{kind}/{name}")) }
    }

    pub(super) fn task_definition(&self, family: &str, revision: usize) -> String {
        self.arn(&format!("task-definition/{family}:{revision}"))
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }

    fn digits(&mut self) -> u64 {
        const SMALLEST: u64 = 1_000_000_000_000_000_000;
        SMALLEST + self.draw() % (9 * SMALLEST)
    }

    /// splitmix64 over a counter: spread out, never twice the same.
    fn draw(&mut self) -> u64 {
        self.made += 1;
        let mut z = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The last part of an ARN, or the name itself.
pub fn last_part(arn_or_name: &str) -> &str {
    arn_or_name.rsplit('/').next().unwrap_or(arn_or_name)
}
