//! `grpc.health.v1`.

use parlance_tests::Caller;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

on_both! {
    async fn every_service_reports_its_health(t: Caller) {
        let mut health = HealthClient::new(t.channel());
        for service in ["", "parlance.v1.MessageService", "parlance.v1.ConversationService", "parlance.v1.EventService", "parlance.v1.SenderService"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request.clone()).await.expect(service).into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
            let first = health.watch(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
            assert_eq!(first.status(), ServingStatus::Serving, "{service}");
        }
        let unknown = HealthCheckRequest { service: "parlance.v1.Nothing".to_owned() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
    }
}
