use super::plan::Plan;
pub fn check(plan: &Plan) -> String {
    format!("{plan:?}")
}
