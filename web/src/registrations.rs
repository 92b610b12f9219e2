//! What the command line says about providers.

use std::env;

use clap::ArgMatches;
use openidconnect::{ClientId, ClientSecret, IssuerUrl};

use crate::provider::Registration;

/// The providers that the command line describes: each `--issuer` begins one.
pub(crate) fn registrations(matches: &ArgMatches) -> Result<Vec<Registration>, String> {
    let mut registrations: Vec<Registration> = Vec::new();
    for group in groups(matches)? {
        let registration = registration(group)?;
        if let Some(other) = registrations.iter().find(|other| other.issuer == registration.issuer) {
            return Err(format!("the issuer {} is given twice", other.issuer.as_str()));
        }
        if let Some(other) = registrations.iter().find(|other| other.slug == registration.slug) {
            let names = (&other.name, &registration.name);
            return Err(format!(
                "{} and {} are too similar; say with --provider-name what to call one",
                names.0, names.1
            ));
        }
        registrations.push(registration);
    }
    Ok(registrations)
}

/// What is said about one provider: its issuer, and what follows that.
struct Group {
    issuer: String,
    client_id: Option<String>,
    client_secret_env: Option<String>,
    name: Option<String>,
}

fn groups(matches: &ArgMatches) -> Result<Vec<Group>, String> {
    let mut given = Vec::new();
    for option in ["issuer", "client_id", "client_secret_env", "provider_name"] {
        let places = matches.indices_of(option).into_iter().flatten();
        let values = matches.get_many::<String>(option).into_iter().flatten();
        given.extend(places.zip(values).map(|(place, value)| (place, option, value)));
    }
    given.sort_unstable();
    let mut groups: Vec<Group> = Vec::new();
    for (_, option, value) in given {
        let group = groups.last_mut();
        let field = match (option, group) {
            ("issuer", _) => {
                let issuer = value.clone();
                groups.push(Group { issuer, client_id: None, client_secret_env: None, name: None });
                continue;
            }
            (_, None) => return Err(format!("--{} follows the --issuer that it is for", option.replace('_', "-"))),
            ("client_id", Some(group)) => &mut group.client_id,
            ("client_secret_env", Some(group)) => &mut group.client_secret_env,
            (_, Some(group)) => &mut group.name,
        };
        if field.replace(value.clone()).is_some() {
            return Err(format!("--{} is given twice for one --issuer", option.replace('_', "-")));
        }
    }
    Ok(groups)
}

fn registration(Group { issuer, client_id, client_secret_env, name }: Group) -> Result<Registration, String> {
    let issuer = IssuerUrl::new(issuer.clone()).ok().filter(is_safe).ok_or_else(|| {
        format!("{issuer} is no issuer: it must be an https address, or an http one of this computer")
    })?;
    let client_id = client_id.ok_or_else(|| format!("the issuer {} needs a --client-id", issuer.as_str()))?;
    let client_secret = client_secret_env.map(|variable| match env::var(&variable) {
        Ok(secret) if !secret.is_empty() => Ok(ClientSecret::new(secret)),
        _ => Err(format!("the environment variable {variable} has no secret of the client {client_id}")),
    });
    let name = name.unwrap_or_else(|| issuer.url().host_str().unwrap_or_default().to_owned());
    let slug: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if slug.trim_matches('-').is_empty() {
        return Err(format!("{name:?} is no --provider-name: it needs a letter from A to Z, or a digit"));
    }
    Ok(Registration {
        name,
        slug,
        issuer,
        client_id: ClientId::new(client_id),
        client_secret: client_secret.transpose()?,
    })
}

/// Whoever can answer in the name of the issuer can sign in as anybody.
fn is_safe(issuer: &IssuerUrl) -> bool {
    let url = issuer.url();
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        _ => false,
    }
}
