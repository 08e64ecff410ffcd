pub mod schema {
    use crate::target::*;
    pub struct Link {
        pub client: tokio_postgres::Client,
    }
    pub struct Schema;
    impl Schema {
        pub async fn create(_: &Endpoint, _: &str) -> Result<Schema, TargetError> {
            unimplemented!()
        }
        pub async fn connect(&self, _: &str) -> Result<Link, TargetError> {
            unimplemented!()
        }
        pub async fn drop(&self) -> Result<(), TargetError> {
            unimplemented!()
        }
        pub async fn server_facts(&self) -> Result<(String, BTreeMap<String, String>), TargetError> {
            unimplemented!()
        }
    }
}
pub async fn open(
    _: &super::TargetSpec,
    _: &super::Endpoint,
    _: &str,
) -> Result<Box<dyn super::Target>, super::TargetError> {
    unimplemented!()
}
