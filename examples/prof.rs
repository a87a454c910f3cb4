use clap::Parser;
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: tidemark::profile::ProfileArgs,
}
fn main() {
    let cli = Cli::parse();
    match tidemark::profile::run(cli.args, &mut |p| eprintln!("{p:?}")) {
        Ok(r) => println!("{r}"),
        Err(e) => {
            eprintln!("error: {e}");
            std::process::exit(2)
        }
    }
}
