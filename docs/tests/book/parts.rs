//! What a page consists of.

use std::{collections::BTreeSet, fs, path::Path};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

/// A page of the book.
#[derive(Default)]
pub(crate) struct Chapter {
    pub(crate) blocks: Vec<Block>,
    pub(crate) links: Vec<String>,
    /// What stands between backticks in the text.
    pub(crate) code: Vec<String>,
    /// What a link can name behind `#`: mdbook makes it of the heading.
    pub(crate) anchors: BTreeSet<String>,
}

/// A block of code.
#[derive(Default)]
pub(crate) struct Block {
    /// What stands behind the three backticks.
    pub(crate) info: String,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }
}

impl Chapter {
    pub(crate) fn of(text: &str) -> Self {
        let mut chapter = Self::default();
        let (mut block, mut heading) = (None::<Block>, None::<String>);
        for event in Parser::new(text) {
            if let Event::Code(code) = &event {
                chapter.code.push(code.to_string());
            }
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.to_string(),
                        CodeBlockKind::Indented => "indented".to_owned(),
                    };
                    block = Some(Block { info, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => chapter.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => chapter.anchor(&heading.take().unwrap_or_default()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    chapter.links.push(dest_url.to_string());
                }
                Event::Text(text) | Event::Code(text) => match (&mut block, &mut heading) {
                    (Some(block), _) => block.text.push_str(&text),
                    (None, Some(heading)) => heading.push_str(&text),
                    (None, None) => {}
                },
                _ => {}
            }
        }
        chapter
    }

    /// Of two headings with the same words mdbook numbers the second. Nothing here needs that, so it is refused.
    fn anchor(&mut self, heading: &str) {
        let letters = heading.trim().chars().filter_map(|letter| match letter {
            letter if letter.is_alphanumeric() || letter == '_' || letter == '-' => Some(letter.to_ascii_lowercase()),
            letter if letter.is_whitespace() => Some('-'),
            _ => None,
        });
        assert!(self.anchors.insert(letters.collect()), "there are two headings {heading:?}");
    }
}
