//! `agent sandbox` on the command line. Not here: the sandbox.

use std::{fs, io, path::Path};

use agent::sandbox::{self, Sandbox as Running, SandboxFault, order::Order};
use serde_json::Value;

use super::{
    arguments::{Sandbox, SandboxAgency, SandboxOrder},
    joining::stop,
    outcome::{Outcome, Trouble},
    show::Screen,
};

pub(crate) async fn sandbox(asked: &Sandbox, screen: &Screen) -> Result<Outcome, Trouble> {
    match &asked.order {
        Some(_) if asked.gateway.is_some() || asked.listen.is_some() => {
            Err(Trouble::usage("--gateway and --listen are for starting a sandbox"))
        }
        Some(order) => tell(&asked.dir, order, screen).await,
        None => run(asked, screen).await,
    }
}

async fn run(asked: &Sandbox, screen: &Screen) -> Result<Outcome, Trouble> {
    if asked.listen.is_some_and(|address| !address.ip().is_loopback()) {
        return Err(Trouble::usage(
            "--listen must be an address of this machine alone, such as 127.0.0.1:7450",
        ));
    }
    let stop = stop().map_err(|error| Trouble::fault(format!("signals cannot be heard: {error}")))?;
    let mut stop = Box::pin(stop);
    let language = screen.language;
    screen.remark(language.pick("The sandbox starts ...", "تبدأ البيئة التجريبية ..."));
    let starting = async {
        let running = Running::start(&asked.dir, asked.gateway.as_deref(), asked.listen);
        let running = running.await.map_err(trouble)?;
        log(&asked.dir)?;
        Ok::<_, Trouble>(running)
    };
    let running = tokio::select! {
        started = starting => started?,
        () = &mut stop => return Ok(Outcome::Done),
    };
    let card = running.card().map_err(trouble)?;
    screen.show(lines(&card, screen), || card.clone());
    running.run(stop).await;
    screen.remark(language.pick("The sandbox has ended.", "انتهت البيئة التجريبية."));
    Ok(Outcome::Done)
}

/// What its agents say goes into a file: the screen is for what is to be copied from it.
fn log(folder: &Path) -> Result<(), Trouble> {
    let open = || fs::File::options().create(true).append(true).open(folder.join("logs/sandbox.log"));
    let file = open().map_err(|error: io::Error| Trouble::of(&error))?;
    let filter = tracing_subscriber::EnvFilter::new("info");
    let writer = std::sync::Mutex::new(file);
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).init();
    Ok(())
}

async fn tell(folder: &Path, order: &SandboxOrder, screen: &Screen) -> Result<Outcome, Trouble> {
    let line = match order {
        SandboxOrder::Status => "status".to_owned(),
        SandboxOrder::Say { words, agency } => {
            let agency = match agency {
                SandboxAgency::Partner => "partner",
                SandboxAgency::Second => "second",
            };
            format!("say {agency} {}", words.join(" "))
        }
        SandboxOrder::Advance { by } => format!("advance {by}"),
        SandboxOrder::Fault { words } => format!("fault {}", words.join(" ")),
    };
    if Order::parse(&line).is_none() {
        let pick =
            screen.language.pick("there is no such order: see its --help", "لا يوجد أمر كهذا: انظر ‎--help");
        return Err(Trouble::usage(pick));
    }
    let stands = sandbox::order(folder, &line).await.map_err(trouble)?;
    screen.show(standing(&stands, screen), || stands.clone());
    Ok(Outcome::Done)
}

fn trouble(fault: SandboxFault) -> Trouble {
    match fault {
        SandboxFault::NoSandbox(_) | SandboxFault::Running(_) => Trouble::usage(fault.to_string()),
        SandboxFault::NotRunning(_) => Trouble::not_reached(fault.to_string()),
        SandboxFault::NoGateway { .. }
        | SandboxFault::Gateway(_)
        | SandboxFault::TooFar
        | SandboxFault::NotDone(_)
        | SandboxFault::Founding(_)
        | SandboxFault::Agent(_)
        | SandboxFault::Io(_) => Trouble::of(&fault),
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Ready to be copied.
fn lines(card: &Value, screen: &Screen) -> Vec<String> {
    let pick = |english, arabic| screen.language.pick(english, arabic);
    let of = |key| text(card, key);
    vec![
        pick(
            "The sandbox runs. Everything in it is invented; its network is of no use to anybody else.",
            "البيئة التجريبية تعمل. كل ما فيها مختلق، وشبكتها لا تصلح لأحد سواكم.",
        )
        .to_owned(),
        String::new(),
        format!("{}: {}", pick("your agency", "جهتكم"), of("agency")),
        format!("{}: unix:{}", pick("local API", "الواجهة البرمجية المحلية"), of("socket")),
        format!("{}: {}", pick("the same over TCP", "الواجهة نفسها عبر TCP"), of("address")),
        format!("    authorization: Bearer {}", of("token")),
        format!("{}: test.partner, test.second", pick("they answer", "من يجيب")),
        String::new(),
        pick("Try, in another terminal:", "جرّبوا في نافذة أخرى:").to_owned(),
        format!("    agent -C {} send {} --wait", of("agent"), of("case")),
        format!("    agent -C {} inbox --sent", of("agent")),
        format!("    agent sandbox --dir {} say silent", of("folder")),
        format!("    agent sandbox --dir {} advance 73h", of("folder")),
        format!("    agent sandbox --dir {} fault gateway down", of("folder")),
        String::new(),
        pick("Ctrl-C ends it.", "ينهيها Ctrl-C.").to_owned(),
    ]
}

fn standing(stands: &Value, screen: &Screen) -> Vec<String> {
    let pick = |english, arabic| screen.language.pick(english, arabic);
    let ahead_ms = stands["ahead_ms"].as_u64().unwrap_or_default();
    let mut lines = vec![
        format!("{}: {} (+{} s)", pick("today", "اليوم"), text(stands, "today"), ahead_ms / 1000),
        format!("{}: {}", pick("gateway", "البوابة"), text(stands, "gateway")),
        format!("{}: {}", pick("line", "الخط"), text(stands, "line")),
    ];
    for partner in stands["partners"].as_array().into_iter().flatten() {
        let power = if partner["running"] == true { "up" } else { "down" };
        lines.push(format!("{}: {power}, {}", text(partner, "agency"), text(partner, "says")));
    }
    lines
}
