//! Networks of a run: made where they are not there, and removed.

use std::collections::HashMap;

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptions;

use super::render::{self, label};
use super::{Docker, Error, error, of_run};
use crate::attempts::for_each;

impl Docker {
    /// Makes the networks that are not there.
    ///
    /// # Errors
    /// Says which could not be made.
    pub async fn ensure_networks(
        &self,
        networks: &[String],
        run: &str,
        owner: &str,
    ) -> Result<(), Error> {
        let ensure = |name| self.ensure_network(name, run, owner);
        let left = for_each(networks.to_vec(), 1, ensure, |_| {}, &|| true).await;
        Error::of_many("create", "network", networks.len(), left)
    }

    async fn ensure_network(&self, name: String, run: &str, owner: &str) -> Result<(), Error> {
        let options = ListNetworksOptions {
            filters: Some(HashMap::from([("name".to_owned(), vec![name.clone()])])),
        };
        let listed = self.client.list_networks(Some(options)).await;
        let listed = listed.map_err(|error| Error::api("list networks", error))?;
        // The filter also finds names that contain this one.
        let network = listed.iter().find(|one| one.name.as_ref() == Some(&name));
        if let Some(network) = network {
            let labels = network.labels.clone().unwrap_or_default();
            if labels.get(label::OWNER).map(String::as_str) != Some(owner) {
                let what = "network";
                return Err(Error::Taken { what, name });
            }
            return Ok(());
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(render::labels(run, owner)),
            ..NetworkCreateRequest::default()
        };
        let created = self.client.create_network(request).await;
        created.map_err(|error| Error::api(&format!("create network {name}"), error))?;
        Ok(())
    }

    /// Removes the networks that carry the label of the run and its owner.
    ///
    /// # Errors
    /// Says which are left.
    pub async fn remove_networks(&self, run: &str, owner: &str) -> Result<(), Error> {
        let options = ListNetworksOptions {
            filters: Some(of_run(Some(run))),
        };
        let listed = self.client.list_networks(Some(options)).await;
        let listed = listed.map_err(|error| Error::api("list networks", error))?;
        let own = listed.into_iter().filter_map(|network| {
            let labels = network.labels.unwrap_or_default();
            let is_own = labels.get(label::OWNER).map(String::as_str) == Some(owner);
            network.name.filter(|_| is_own)
        });
        let own = Vec::from_iter(own);
        let total = own.len();
        let remove = |name| self.remove_network(name);
        let left = for_each(own, 1, remove, |_| {}, &|| true).await;
        Error::of_many("remove", "network", total, left)
    }

    async fn remove_network(&self, network: String) -> Result<(), Error> {
        match self.client.remove_network(&network).await {
            Err(error) if error::is_in_use(&error) => Err(Error::InUse { network }),
            Err(error) if !error::is_gone(&error) => {
                Err(Error::api(&format!("remove network {network}"), error))
            }
            _ => Ok(()),
        }
    }
}
