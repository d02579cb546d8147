//! What holds for the lanes at any moment, looked at by the simulation after each step of the loop.

use super::*;
use crate::server::dispatch::schedule::lane::PROBED_CAPACITY;

impl Lanes {
    /// Counts add up, and no lane holds more than it may.
    pub(in crate::server::dispatch) fn assert_sound(&self) {
        let in_memory: usize = self.lanes.values().map(Lane::waiting).sum();
        assert_eq!(in_memory, self.in_memory, "deliveries in memory");
        let in_wide_lanes: usize = self.lanes.values().filter(|lane| lane.is_wide()).map(Lane::waiting).sum();
        assert_eq!(in_wide_lanes, self.in_wide_lanes, "deliveries in memory of URLs with concurrent requests");
        // What a lane may hold beyond the capacity of all.
        let spare = self.lanes.len() * 2 * PROBED_CAPACITY;
        assert!(in_memory <= CAPACITY + spare + REFILL * MAX_LOADS, "{in_memory} in memory");
        let on_their_way: usize = self.lanes.values().map(|lane| lane.in_flight).sum();
        assert!(on_their_way <= self.in_flight, "those for debug are beside the lanes");
        let shares: usize = self.shares.values().map(|share| share.in_flight).sum();
        assert!(shares <= self.in_flight);
        let loads: usize = self.lanes.values().map(Lane::loads).sum();
        assert_eq!(loads, self.loads, "reads of the table");
        for (id, lane) in &self.lanes {
            lane.assert_bounded(*id);
        }
    }
}
