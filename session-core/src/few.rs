//! A list that usually has one entry.

/// A list that takes no memory of its own for its first entry: most requests have one of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Few<T> {
    first: Option<T>,
    /// Empty without a first.
    more: Vec<T>,
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, entry: T) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.more.push(entry),
        }
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.more)
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order() {
        let mut few = Few::default();
        assert!(few.is_empty() && few.first().is_none());
        for count in 0..4 {
            few.push(count);
            assert!(!few.is_empty() && few.first() == Some(&0));
            assert!(few.iter().copied().eq(0..=count));
            assert!(few.clone().into_entries().eq(0..=count));
        }
    }
}
