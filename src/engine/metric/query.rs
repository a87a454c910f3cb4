//! Metrics of a ranking: a prediction is a query with scored items, its label says which of them
//! were relevant, and how much.
//!
//! Items are ordered by falling score, equal scores as they came. An item with a relevance above 0
//! is relevant. A query without a relevant item has 0 in all metrics. Only the first k items count.
//! `k` is at least 1; positions beyond the last item hold nothing relevant.

/// One item of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    pub score: f64,
    /// Not negative; a negative or missing (NaN) one counts as 0.
    pub relevance: f64,
}

/// What an item adds to the discounted gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// Its relevance.
    Linear,
    /// 2^relevance - 1 (Burges et al. 2005).
    Exponential,
}

impl Gain {
    fn of(self, relevance: f64) -> f64 {
        match self {
            Self::Linear => relevance,
            Self::Exponential => relevance.exp2() - 1.0,
        }
    }
}

/// The items of a query in the order in which the model put them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// (score, relevance), the greatest score first.
    items: Vec<(f64, f64)>,
    relevant: usize,
}

impl Ranking {
    /// A score that is not a number is the least of all.
    pub fn new(items: &[Item]) -> Self {
        let clean = |item: &Item| {
            let score = if item.score.is_nan() { f64::NEG_INFINITY } else { item.score };
            (score + 0.0, item.relevance.max(0.0))
        };
        let mut items: Vec<(f64, f64)> = items.iter().map(clean).collect();
        items.sort_by(|a, b| b.0.total_cmp(&a.0));
        let relevant = items.iter().filter(|item| item.1 > 0.0).count();
        Self { items, relevant }
    }

    fn first(&self, k: usize) -> impl Iterator<Item = (usize, f64)> {
        self.items.iter().take(k).map(|item| item.1).enumerate()
    }

    fn hits(&self, k: usize) -> usize {
        self.first(k).filter(|(_, relevance)| *relevance > 0.0).count()
    }

    /// Normalized discounted cumulative gain, from 0 to 1 (Jarvelin and Kekalainen 2002): the gains
    /// over log2(1 + rank), over the greatest that any order gives.
    pub fn ndcg(&self, k: usize, gain: Gain) -> f64 {
        let dcg = self.first(k).map(|(at, relevance)| gain.of(relevance) * discount(at)).sum();
        self.normalized(dcg, k, gain)
    }

    /// The same with linear gains and the mean over all orders of items with equal scores, as
    /// `sklearn.metrics.ndcg_score` (McSherry and Najork 2008).
    pub fn ndcg_over_ties(&self, k: usize) -> f64 {
        let mut dcg = 0.0;
        let mut at = 0;
        for tied in self.items.chunk_by(|a, b| a.0 == b.0) {
            let mean = tied.iter().map(|item| item.1).sum::<f64>() / tied.len() as f64;
            let end = (at + tied.len()).min(k);
            dcg += mean * (at..end).map(discount).sum::<f64>();
            at += tied.len();
        }
        self.normalized(dcg, k, Gain::Linear)
    }

    fn normalized(&self, dcg: f64, k: usize, gain: Gain) -> f64 {
        let mut best: Vec<f64> = self.items.iter().map(|item| item.1).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        let ideal: f64 =
            best.iter().take(k).enumerate().map(|(at, r)| gain.of(*r) * discount(at)).sum();
        if ideal > 0.0 { dcg / ideal } else { 0.0 }
    }

    /// One over the rank of the first relevant item among the first k; its mean over queries is
    /// MRR@k.
    pub fn reciprocal_rank(&self, k: usize) -> f64 {
        let first = self.first(k).find(|(_, relevance)| *relevance > 0.0);
        first.map_or(0.0, |(at, _)| 1.0 / (at + 1) as f64)
    }

    /// The mean of the precision at each relevant item among the first k, over as many as there can
    /// be: min(relevant items, k). Its mean over queries is MAP@k.
    pub fn average_precision(&self, k: usize) -> f64 {
        let possible = self.relevant.min(k);
        if possible == 0 {
            return 0.0;
        }
        let mut hits = 0;
        let mut sum = 0.0;
        for (at, relevance) in self.first(k) {
            if relevance > 0.0 {
                hits += 1;
                sum += f64::from(hits) / (at + 1) as f64;
            }
        }
        sum / possible as f64
    }

    /// 1 if a relevant item is among the first k, else 0. Its mean over queries is the hit rate.
    pub fn hit(&self, k: usize) -> f64 {
        if self.hits(k) > 0 { 1.0 } else { 0.0 }
    }

    /// Relevant items among the first k, over k.
    pub fn precision(&self, k: usize) -> f64 {
        self.hits(k) as f64 / k.max(1) as f64
    }

    /// Relevant items among the first k, over all of them.
    pub fn recall(&self, k: usize) -> f64 {
        if self.relevant == 0 { 0.0 } else { self.hits(k) as f64 / self.relevant as f64 }
    }
}

/// Of the position `at`, counted from 0.
fn discount(at: usize) -> f64 {
    1.0 / ((at + 2) as f64).log2()
}

/// The weighted mean of a metric over queries: (value, weight). `None` without weight.
pub fn mean(queries: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, weight) = queries
        .fold((0.0, 0.0), |sums, (value, weight)| (sums.0 + value * weight, sums.1 + weight));
    (weight > 0.0).then(|| sum / weight)
}
