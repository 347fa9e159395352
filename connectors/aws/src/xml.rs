//! An answer of the query API, as far as it is read: elements with text, and what lies below them.

use std::ops::Range;

use xmlparser::{ElementEnd, Token, Tokenizer};

/// Deeper answers are not read.
const DEEPEST: usize = 32;

/// An element. The text stays in the buffer that the answer came in, which is wiped.
pub(crate) struct Element {
    depth: usize,
    name: Range<usize>,
    text: Range<usize>,
}

/// Every element, in the order of the text.
pub(crate) struct Answer<'a> {
    source: &'a str,
    elements: Vec<Element>,
}

/// One element and those below it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    source: &'a str,
    elements: &'a [Element],
}

impl<'a> Answer<'a> {
    /// None where it is not understood.
    pub(crate) fn read(source: &'a str) -> Option<Self> {
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for token in Tokenizer::from(source) {
            match token.ok()? {
                Token::ElementStart { local, .. } => {
                    if open.len() == DEEPEST {
                        return None;
                    }
                    elements.push(Element { depth: open.len(), name: local.range(), text: 0..0 });
                    open.push(elements.len() - 1);
                }
                Token::ElementEnd { end: ElementEnd::Close(..) | ElementEnd::Empty, .. } => drop(open.pop()?),
                Token::Text { text } => {
                    if let Some(element) = open.last().and_then(|index| elements.get_mut(*index)) {
                        element.text = text.range();
                    }
                }
                // Nothing that is read here needs either.
                Token::Cdata { .. } | Token::EntityDeclaration { .. } | Token::DtdStart { .. } => return None,
                _ => {}
            }
        }
        if open.is_empty() && !elements.is_empty() { Some(Self { source, elements }) } else { None }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { source: self.source, elements: &self.elements }
    }
}

impl<'a> Node<'a> {
    /// The text of the first element of that name below this one, however deep. None where it holds an entity: no name
    /// and no key that is read here does.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let element = self.elements.iter().skip(1).find(|element| &self.source[element.name.clone()] == name)?;
        let text = self.source[element.text.clone()].trim();
        if text.is_empty() || text.contains('&') { None } else { Some(text) }
    }

    /// Every element of that name below this one, with what lies below it.
    pub(crate) fn all(self, name: &'a str) -> impl Iterator<Item = Self> + 'a {
        let starts =
            (0..self.elements.len()).filter(move |index| &self.source[self.elements[*index].name.clone()] == name);
        starts.map(move |start| {
            let rest = &self.elements[start..];
            let depth = rest[0].depth;
            let end = rest.iter().skip(1).position(|element| element.depth <= depth).map_or(rest.len(), |end| end + 1);
            Self { source: self.source, elements: &rest[..end] }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_own() {
        let text = "<?xml version=\"1.0\"?><R xmlns=\"x\"><L><member><Id>a</Id><On/></member><member><Id>b</Id></member></L>\
                    <IsTruncated>true</IsTruncated></R>";
        let answer = Answer::read(text).unwrap();
        let ids: Vec<_> = answer.root().all("member").map(|member| member.text("Id")).collect();
        assert_eq!(ids, [Some("a"), Some("b")]);
        assert_eq!(answer.root().text("IsTruncated"), Some("true"));
        assert_eq!(answer.root().text("On"), None);
    }

    #[test]
    fn what_is_no_answer_is_not_read() {
        for text in ["", "no", "<a><b></a>", "<a>", &"<a>".repeat(40)] {
            assert!(Answer::read(text).is_none(), "{text}");
        }
    }
}
