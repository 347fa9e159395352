//! The plan of a reset: its order, its refusals, its digest, its waves, and what it holds back.

#[path = "world/world.rs"]
mod world;

#[cfg(test)]
mod order {
    mod digest;
    mod held_back;
    mod members;
    mod refusals;
    mod revise;
    mod rows;
    mod selector;
    mod small;
    mod waves;
}
