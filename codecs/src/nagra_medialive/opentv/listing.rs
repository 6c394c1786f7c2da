//! The list of an account's entitlements, read page by page.

use headgate_core::http::{HttpAnswer, HttpCall};

use super::wire::{ENTITLEMENTS, Held, Page, Said, said};
use crate::http::form::Form;
use crate::http::{Step, answer};
use crate::nagra_medialive::settings::EntitlementSettings;

/// A list that is being read.
pub(super) struct Listing {
    account: String,
    filter: String,
    page_size: u64,
    most_pages: u64,
    page: u64,
    held: Vec<Held>,
}

impl Listing {
    pub(super) fn new(settings: &EntitlementSettings, account: &str) -> Self {
        Self {
            account: account.to_owned(),
            filter: settings.list_filter.clone(),
            page_size: settings.page_size,
            most_pages: settings.most_pages,
            page: 1,
            held: Vec::new(),
        }
    }

    pub(super) fn call(&self) -> HttpCall {
        let mut query = Form::new().field("limit", &self.page_size.to_string()).field("page", &self.page.to_string());
        if !self.filter.is_empty() {
            query.push(&self.filter, &self.account);
        }
        HttpCall::get(format!("{ENTITLEMENTS}?{}", query.finish()))
    }

    /// Takes a page. Gives the list, without what is of other accounts, once it is whole.
    ///
    /// # Errors
    /// The step that it leads to: a list that can not be read whole is no list.
    pub(super) fn read(&mut self, answer: &HttpAnswer) -> Result<Option<Vec<Held>>, Step> {
        if let Said::No(failure) = said(answer)? {
            return Err(Step::rejected(failure));
        }
        let page: Page = answer::json(answer).map_err(Step::failed)?;
        let is_last = self.page.saturating_mul(self.page_size) >= page.total_records;
        let unreadable = |why: &str| Err(Step::failed(answer::unreadable(answer, why)));
        if page.resource_set.is_empty() && !is_last {
            return unreadable("a page is empty before the list ends");
        }
        self.held.extend(page.resource_set.into_iter().filter(|held| held.account_id == self.account));
        if is_last {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        if self.page >= self.most_pages {
            return unreadable("the list has more pages than `entitlements.most_pages` allows");
        }
        self.page += 1;
        Ok(None)
    }
}
