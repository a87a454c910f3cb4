//! How each metric's 95% interval is found, or why it has none.

use super::Metric;

/// By what an interval is found, with the cases that have none; or the reason for none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    By(&'static str),
    None(&'static str),
}

impl Method {
    /// One sentence for a person.
    pub fn text(self) -> String {
        match self {
            Self::By(method) => format!("95% interval: {method}."),
            Self::None(reason) => format!("No interval: {reason}."),
        }
    }
}

impl Metric {
    pub fn interval_method(self) -> Method {
        use Method::{By, None};
        match self {
            Self::Accuracy
            | Self::Precision
            | Self::Recall
            | Self::Specificity
            | Self::Jaccard
            | Self::Prevalence
            | Self::PositiveRate
            | Self::PrecisionMicro
            | Self::RecallMicro
            | Self::F1Micro
            | Self::RecallWeighted
            | Self::TopKAccuracy(_) => By("Wilson's score interval of a share (1927)"),
            Self::F1 => By("Wilson's, of the Jaccard index, of which F1 is 2J / (1 + J)"),
            Self::RocAuc => By(
                "DeLong's variance (1988) on the logit scale; none with fewer than 20 rows of a \
                 class, or where hardly a pair is out of order",
            ),
            Self::LogLoss | Self::Brier | Self::Mae | Self::Mse | Self::Smape | Self::Bias => {
                By("normal, from the mean's own moments; none with fewer than 20 rows, or where \
                values were clipped")
            }
            Self::Rmse => By("the root of that of the mean squared error"),
            Self::MedianAbsoluteError => By("between two order statistics, whatever the law"),
            Self::BalancedAccuracy | Self::F2 | Self::Mcc | Self::CohenKappa => None(
                "the delta method covers too little with few rows of a class, and no better method \
                 is known for these counts",
            ),
            Self::PrecisionMacro
            | Self::RecallMacro
            | Self::F1Macro
            | Self::PrecisionWeighted
            | Self::F1Weighted => None("a mean over classes, of which some have few rows"),
            Self::AveragePrecision | Self::KsSeparation => {
                None("no method is known that covers as it says from bins of the score")
            }
            Self::CalibrationError => {
                None("chance is taken out of the value, but what remains of it has no known law")
            }
            Self::ExpectedCalibrationError | Self::MaximumCalibrationError => {
                None("chance counts as error in it: a perfect model shows one, too")
            }
            Self::Mape => None("the smallest labels rule its moments"),
            Self::R2 => None("a ratio whose moments are not kept"),
        }
    }
}
