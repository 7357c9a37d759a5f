//! PaddleX's conversion of LabelMe's annotations to three lists.

use std::collections::HashMap;

use super::annotation::Annotation;
use super::files::{ShiTuRec, is_a_folder, join};
use super::{Exception, Flavor, Stop, python};
use crate::file_tree::EntryKind;

impl ShiTuRec<'_> {
    /// Makes the three lists from the annotations of LabelMe: 50, 30 and 20 percent of the images in the order of the
    /// annotations' names. `form` is PaddleX's `src_dataset_type`. As in PaddleX, any part of the word `LabelMe` is
    /// accepted.
    ///
    /// # Errors
    /// [`Stop::Raised`] where PaddleX cannot convert, and [`Stop::Error`] for files that cannot be read. Nothing is
    /// changed then.
    pub fn convert(&mut self, form: Option<&str>) -> Result<(), Stop> {
        let Some(form) = form else {
            let message = "'in <string>' requires string as left operand, not NoneType";
            return Err(Exception::new("TypeError", message).into());
        };
        if !"LabelMe".contains(form) {
            return Err(self.cannot_convert(format!("不支持{form}格式数据集。当前仅支持 LabelMe 格式。")));
        }
        for name in ["label.txt", "annotations", "images"] {
            if self.kind(name).is_none() {
                let path = join(&self.root, name);
                return Err(self.cannot_convert(format!(
                    "请参考上述`{form}格式数据集示例`检查待转换数据集格式。保证{path}文件存在。"
                )));
            }
        }
        let rows = self.labelled_images()?;
        self.write_lists(&rows, [50.0, 30.0, 20.0]);
        Ok(())
    }

    fn cannot_convert(&self, reason: String) -> Stop {
        match self.flavor {
            Flavor::Paddlex3 => Exception::new(
                "paddlex.utils.errors.dataset_checker.ConvertFailedError",
                format!("数据格式转换失败！{reason}"),
            ),
            // this version did not import the class
            Flavor::Beta => Exception::new("NameError", "name 'ConvertFailedError' is not defined"),
        }
        .into()
    }

    /// A row for each flag that is set in an annotation.
    fn labelled_images(&self) -> Result<Vec<String>, Stop> {
        if self.kind("label.txt") == Some(EntryKind::Folder) {
            return Err(is_a_folder(&join(&self.root, "label.txt")));
        }
        let text = self.text("label.txt")?;
        let names = python::lines(&text);
        // a repeated name gets the number of its last line
        let labels: HashMap<&str, usize> =
            names.iter().enumerate().map(|(index, line)| (python::strip(line), index)).collect();
        let folder = join(&self.root, "annotations");
        if self.kind("annotations") == Some(EntryKind::File) {
            let message = format!("[Errno 20] Not a directory: {}", python::string_repr(&folder));
            return Err(Exception::new("NotADirectoryError", message).into());
        }
        let mut rows = Vec::new();
        for (name, kind) in self.names_in("annotations") {
            if kind == EntryKind::Folder {
                return Err(is_a_folder(&join(&folder, &name)));
            }
            let annotation = Annotation::read(&self.text(&join("annotations", &name))?)?;
            let image = python::strip(&annotation.image_path).split('/').nth(2);
            let image = image.ok_or_else(|| Exception::new("IndexError", "list index out of range"))?;
            for flag in annotation.flags()? {
                let label =
                    labels.get(flag.as_str()).ok_or_else(|| Exception::new("KeyError", python::string_repr(&flag)))?;
                rows.push(format!("images/{image} {label}\n"));
            }
        }
        Ok(rows)
    }
}
