//! Hooks and signatures of what lands, over fakes.

use crate::engine::fixtures::World;
use crate::error::ExitCode;

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

/// The message of what landed, and whether it is signed.
async fn landed(world: &World) -> (String, bool) {
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.landed, Some(world.tip()));
    world.git.message(&world.tip()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_lands_has_the_message_that_the_hooks_make_of_it() {
    let world = world();
    world.git.set_hooks(|message| Ok(format!("{}\n\nReviewed: yes\n", message.trim_end())));
    let (message, _) = landed(&world).await;
    assert!(message.ends_with("\n\nReviewed: yes\n"), "{message}");
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_the_hooks_refuse_does_not_land_with_their_words_and_is_kept() {
    let world = world();
    world.git.set_hooks(|_| Err("no issue is named".to_owned()));
    let error = world.carry_out().await.unwrap_err();
    assert_eq!(error.kind, ExitCode::LandingBlocked);
    assert!(error.message.contains("no issue is named"), "{}", error.message);
    assert_eq!((world.own("cost.txt").as_str(), world.left()), ("90\n", Vec::new()));
    assert!(world.git.refs().keys().any(|name| name.starts_with("refs/blueprint/") && name.ends_with("/a")));
}

#[tokio::test(start_paused = true)]
async fn hooks_that_are_to_be_skipped_are_not_asked() {
    let mut world = world();
    world.settings.land.hooks = false;
    world.git.set_hooks(|_| Err("no issue is named".to_owned()));
    landed(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_lands_is_signed_where_it_is_to_be_with_hooks_and_without() {
    for (hooks, sign) in [(true, true), (false, true), (true, false)] {
        let mut world = world();
        (world.settings.land.hooks, world.settings.land.sign) = (hooks, sign);
        world.git.set_signs("ssh");
        assert_eq!(landed(&world).await.1, sign, "hooks: {hooks}");
    }
}

#[tokio::test(start_paused = true)]
async fn configuration_that_changed_during_the_run_is_told_by_its_first_names() {
    let mut world = world();
    world.settings.land.hooks = false;
    world.git.set_strayed(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    landed(&world).await;
    let told: Vec<_> = world.warnings().into_iter().filter(|text| text.contains("changed during the run")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("a, b, c, d, e, f, g, h and 2 more; landing ignores the change"), "{told:?}");
}
