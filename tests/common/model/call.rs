//! One request to a model, as a script sees it.

use std::collections::BTreeMap;

use blueprint::domain::wire::Wire;
use hyper::Method;
use hyper::http::request::Parts;
use serde_json::Value;

/// A request that asks for an answer or a count.
#[derive(Debug, Clone)]
pub struct Call {
    /// By which protocol it came.
    pub wire: Wire,
    pub method: String,
    pub path: String,
    pub query: String,
    /// By lower-case names.
    pub headers: BTreeMap<String, String>,
    /// `null` where it was no JSON.
    pub body: Value,
    /// How long the body is.
    pub bytes: usize,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether only a count is asked for.
    pub counting: bool,
    /// How many calls came before, over all.
    pub index: usize,
    /// How many turns of the model this conversation already holds: 0 for its first request.
    pub turn: usize,
    /// Every text in it but the model's own (system, user, results of tools), joined by newlines.
    pub text: String,
    /// The first text of the user: tells one conversation from another.
    pub opening: String,
    /// The names of the tools that it offers.
    pub tools: Vec<String>,
    /// The model it asks for; `scripted` where it names none.
    pub model: String,
    /// The output limit that it names.
    pub limit: Option<u64>,
    /// The tools themselves.
    pub(super) offered: Vec<Offered>,
}

/// A tool that a request offers.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub name: String,
    pub kind: Kind,
    /// The JSON schema of its arguments; `null` where it has none.
    pub schema: Value,
}

/// What a call of a tool looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON arguments.
    Function,
    /// Free text.
    Custom,
    /// The shell that OpenAI's models know without a schema.
    LocalShell,
}

/// What a body says, whatever its protocol.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub stream: bool,
    pub limit: Option<u64>,
    pub turn: usize,
    /// Texts with whether they are the user's own.
    pub texts: Vec<(bool, String)>,
    pub offered: Vec<Offered>,
}

impl Heard {
    pub fn says(&mut self, text: &str) {
        self.texts.push((false, text.to_owned()));
    }

    pub fn user_says(&mut self, text: &str) {
        self.texts.push((true, text.to_owned()));
    }
}

/// What a path asks for.
pub(super) enum Target {
    Ask {
        wire: Wire,
        model: Option<String>,
        stream: bool,
        counting: bool,
    },
    Models(Value),
    /// Nothing there; whose errors to answer with.
    Unknown(Wire),
}

pub(super) fn target(head: &Parts) -> Target {
    // An address below which each provider has its own, as the proxy's.
    let path = head.uri.path();
    let path = ["/anthropic", "/openai", "/gemini"].iter().find_map(|name| path.strip_prefix(name)).unwrap_or(path);
    let anthropic = head.headers.contains_key("anthropic-version") || head.headers.contains_key("x-api-key");
    let ask = |wire, counting| Target::Ask { wire, model: None, stream: false, counting };
    let post = head.method == Method::POST;
    match path {
        "/v1/messages" if post => ask(Wire::Messages, false),
        "/v1/messages/count_tokens" if post => ask(Wire::Messages, true),
        "/v1/chat/completions" if post => ask(Wire::Chat, false),
        "/v1/responses" if post => ask(Wire::Responses, false),
        "/v1/responses/input_tokens" if post => ask(Wire::Responses, true),
        "/v1/models" if !post && anthropic => Target::Models(super::models(Wire::Messages)),
        "/v1/models" if !post => Target::Models(super::models(Wire::Chat)),
        "/v1beta/models" if !post => Target::Models(super::models(Wire::Gemini)),
        _ => gemini(path, post).unwrap_or_else(|| {
            Target::Unknown(match () {
                () if path.starts_with("/v1beta") => Wire::Gemini,
                () if anthropic || path.starts_with("/v1/messages") => Wire::Messages,
                () => Wire::Chat,
            })
        }),
    }
}

/// `/v1beta/models/{model}:{method}`.
fn gemini(path: &str, post: bool) -> Option<Target> {
    let rest = ["/v1beta/models/", "/v1/models/", "/v1alpha/models/"].iter().find_map(|p| path.strip_prefix(p))?;
    let (model, method) = rest.split_once(':')?;
    let (stream, counting) = match method {
        "generateContent" => (false, false),
        "streamGenerateContent" => (true, false),
        "countTokens" => (false, true),
        _ => return None,
    };
    post.then(|| Target::Ask { wire: Wire::Gemini, model: Some(model.to_owned()), stream, counting })
}

impl Call {
    pub(super) fn new(head: &Parts, wire: Wire, body: Value, bytes: usize) -> Self {
        let heard = super::protocol(wire).hear(&body);
        let headers = head.headers.iter();
        let headers = headers.map(|(k, v)| (k.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
        let opening = heard.texts.iter().find(|(user, _)| *user).map(|(_, text)| text.clone());
        let texts = heard.texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        Self {
            wire,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            model: body["model"].as_str().unwrap_or("scripted").to_owned(),
            body,
            bytes,
            stream: heard.stream,
            counting: false,
            index: 0,
            turn: heard.turn,
            text: texts.join("\n"),
            opening: opening.unwrap_or_default(),
            tools: heard.offered.iter().map(|tool| tool.name.clone()).collect(),
            limit: heard.limit,
            offered: heard.offered,
        }
    }

    /// What kind of tool this is; a function where it is not on offer.
    pub(super) fn kind(&self, tool: &str) -> Kind {
        self.offered.iter().find(|offered| offered.name == tool).map_or(Kind::Function, |offered| offered.kind)
    }
}

/// The elements of an array, none for whatever is no array.
pub(super) fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The texts in a content: a string, or parts that each have a `text`, or nested `content`.
pub(super) fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts.iter().flat_map(texts).collect(),
        Value::Object(part) => match (part.get("text"), part.get("content"), part.get("output")) {
            (Some(Value::String(text)), ..) => vec![text.clone()],
            (_, Some(inner), _) | (_, _, Some(inner)) => texts(inner),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
