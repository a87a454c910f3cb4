//! Statistics of two full samples: pure functions, no sketch and no approximation that the named
//! test itself does not make.

pub mod anderson;
pub mod cramer_von_mises;
pub mod distance;
pub mod divergence;
pub mod epps_singleton;
pub mod histogram;
pub mod kolmogorov;
pub mod ranks;
pub mod sum;
pub mod table;
pub mod two_means;
