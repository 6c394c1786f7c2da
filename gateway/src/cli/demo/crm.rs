//! The demo's CRM: its pending requests are fetched, carried out at one of the demo's platforms, and answered.

use std::net::SocketAddr;
use std::time::Duration;

use headgate_codecs::crm_com::simulator::Crm;
use headgate_codecs::http::HttpPlatform;
use headgate_codecs::registry::{PROTOCOLS, Protocol, Transport};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::output::{self, Listing};
use crate::simulate::{self, Simulation};

/// How long the requests may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many of its requests are there to be rejected.
const REJECTED: usize = 1;

/// A CRM behind a socket, and the platform that its requests go to.
pub(super) struct DemoCrm {
    crm: Crm,
    simulation: Simulation,
    platform: &'static Protocol,
}

impl DemoCrm {
    pub(super) async fn start() -> Result<Self, Failure> {
        // One that knows cards, and answers at once.
        let platform = PROTOCOLS
            .iter()
            .find(|protocol| protocol.transport == Transport::Stream)
            .ok_or_else(|| Failure::new("there is no platform that a CRM could be shown with"))?;
        let crm = Crm::new("DEMO", "demo-token");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let simulation = simulate::http::listen(Box::new(HttpPlatform::new(crm.backend())), address, None)
            .await
            .map_err(|error| Failure::new(format!("a CRM can not be simulated: {error}")))?;
        Ok(Self { crm, simulation, platform })
    }

    /// The pull, as the configuration says it.
    pub(super) fn config(&self) -> String {
        let url = self.simulation.address().map(|address| format!("http://{address}")).unwrap_or_default();
        format!(
            "\n[[pull]]\nname = \"crm\"\nto = \"{}\"\n\n[pull.connection]\nurl = \"{url}\"\n\n[pull.settings]\n\
             provider_identifier = {{ name = \"DEMO\" }}\ntoken = \"demo-token\"\ninterval = \"1s\"\nservices_on = \"devices\"\n\
             types = {{ BECOME_SUBSCRIBER = [\"activate_services\"] }}\n",
            self.platform.name
        )
    }

    /// Lets requests appear, and shows what becomes of them; says whether that is what should.
    pub(super) async fn show(&self) -> Result<bool, Failure> {
        self.ask();
        let count = self.crm.pending();
        output::line(format_args!(
            "\nA CRM has {count} requests pending, which the gateway fetches for {}:",
            self.platform.name
        ));
        let answered = async {
            while self.crm.pending() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = |_| Failure::new("the CRM's requests were not answered").help("--log debug tells more");
        tokio::time::timeout(PATIENCE, answered).await.map_err(late)?;
        let mut listing = Listing::new(&["number", "subscription", "type", "state at the CRM", "error code"]);
        let requests = self.crm.requests();
        for (number, request) in &requests {
            let error = request.error_code.as_deref().unwrap_or("-");
            listing.row([&number.to_string(), &request.subscription, &request.kind, request.state, error]);
        }
        listing.print("It has no requests.");
        let rejected = requests.values().filter(|request| request.state == "REJECTED").count();
        Ok(rejected == REJECTED)
    }

    pub(super) async fn stop(self) {
        self.simulation.stop().await;
    }

    fn ask(&self) {
        let card = |index: usize| {
            let serial = self.platform.demo.cards.get(index).copied().unwrap_or_default();
            json!([{ "serial_number": serial, "type": "smartcard" }])
        };
        let code = |index: usize| self.platform.demo.services.get(index).map_or("", |(code, _)| *code);
        let ask = |subscription: &str, kind: &str, members: Value| {
            self.crm.request(Timestamp::now(), subscription, kind, members);
        };
        ask(
            "S901",
            "BECOME_SUBSCRIBER",
            json!({ "services_set": [{ "code": code(0) }], "installed_items_set": card(0) }),
        );
        let service =
            |name: &str, index: usize| json!({ "service": { "code": name, "installed_items_set": card(index) } });
        ask("S901", "ACTIVATE_SERVICE", service(code(1), 0));
        ask("S902", "ACTIVATE_SERVICE", service(code(2), 1));
        ask("S902", "DEACTIVATE_SERVICE", service(code(2), 1));
        ask("S902", "ACTIVATE_SERVICE", service("NOBODY-MAPPED-THIS", 1));
    }
}
