//! Queries and their hits as pictures, in one HTML file that needs no other.

use std::fmt::Write;

use image_feature::dataset::thumbnail;
use image_feature::{DecodeLimits, decode};

/// An image, small, and what is said of it.
pub struct Picture {
    caption: String,
    /// A data URI.
    image: Option<String>,
    right: Option<bool>,
}

impl Picture {
    /// A picture of an image file's bytes, where they are to be had. `right` is whether it is what was looked for, where that is
    /// known.
    pub fn new(caption: String, image: Option<&[u8]>, right: Option<bool>) -> Self {
        let image = image.and_then(|bytes| decode(bytes, &DecodeLimits::default()).ok());
        Picture { caption, image: image.and_then(|image| thumbnail(&image).ok()), right }
    }
}

/// A page with a row for each query: itself, and what is near it.
pub fn contact_sheet(title: &str, rows: &[(Picture, Vec<Picture>)]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escape(title)
    );
    for (query, hits) in rows {
        page.push_str("<section>");
        figure(&mut page, query, "query");
        for hit in hits {
            let class = match hit.right {
                Some(true) => "right",
                Some(false) => "wrong",
                None => "",
            };
            figure(&mut page, hit, class);
        }
        page.push_str("</section>\n");
    }
    page.push_str("</html>\n");
    page
}

const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:1rem}section{display:flex;flex-wrap:wrap;gap:.5rem;\
    padding:.5rem 0;border-top:1px solid #bbb}figure{margin:0;width:124px}figure div,img{width:112px;height:112px;\
    object-fit:contain;background:#eee}img,.none{border:3px solid transparent}.query img{border-color:#36c}.right img\
    {border-color:#2a2}.wrong img{border-color:#c33}figcaption{overflow-wrap:anywhere;font-size:12px}";

fn figure(page: &mut String, picture: &Picture, class: &str) {
    let image = match &picture.image {
        Some(uri) => format!("<img alt=\"\" src=\"{uri}\">"),
        None => "<div class=\"none\"></div>".into(),
    };
    // writing to a text cannot fail
    let _ =
        write!(page, "<figure class=\"{class}\">{image}<figcaption>{}</figcaption></figure>", escape(&picture.caption));
}

/// Names come from files: none of their characters may be taken for markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let picture = |caption: &str| Picture::new(caption.into(), None, None);
        let page = contact_sheet("<script>\"x\"", &[(picture("<img src=x onerror='1'>"), vec![picture("a&b")])]);
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{page}");
        assert!(page.contains("&lt;img src=x onerror=&#39;1&#39;&gt;") && page.contains("a&amp;b"));
    }
}
