// What tests of one PostgreSQL database begin with: a server and an empty database, or the test is
// skipped where PostgreSQL is not installed.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/postgres_cluster.h"

namespace hone {

class PostgresTest : public ::testing::Test {
 protected:
  // A child that does more asks IsSkipped() first.
  void SetUp() override {
    const auto cluster = PostgresCluster::OfThisProgram();
    if (!cluster.ok()) GTEST_SKIP() << cluster.status().message();
    cluster_ = *cluster;
    url_ = cluster_->NewDatabase();
  }

  PostgresCluster* cluster_ = nullptr;
  std::string url_;
};

}  // namespace hone
