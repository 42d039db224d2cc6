# The daemon and nothing else: no shell, no package manager, no root. It is deployed by
# deploy/deployguard.yaml, which brings settings and policies; anywhere else, mount a folder
# with deployguard.yaml at /etc/deployguard.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
# Cargo reads the manifest whole, and it names these.
COPY benches benches
COPY tests tests
# zlib goes into the binary: the image below has none.
ENV LIBZ_SYS_STATIC=1
# The commit, for `deployguard_build_info`: there is no repository in here.
ARG DEPLOYGUARD_COMMIT=unknown
RUN cargo build --release --locked --bin deployguard
# The authorities of RDS, which no system trusts by itself.
RUN curl --fail --silent --show-error --output /rds.pem \
    https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem

# glibc and libgcc, certificates, and a user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /rds.pem /etc/ssl/certs/rds.pem
COPY --from=build /src/target/release/deployguard /usr/local/bin/deployguard
USER 65532:65532
WORKDIR /etc/deployguard
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/deployguard"]
CMD ["serve", "--config", "/etc/deployguard/deployguard.yaml"]
